/**
 * What a container's seccomp profile does: from here on io_uring_setup fails in this process and its children. Loaded by
 * `node --import`, with the errno in VEXFS_TEST_ERRNO. Names are those of linux/seccomp.h and linux/filter.h.
 */
import koffi from 'koffi';

const PR_SET_SECCOMP = 22;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_MODE_FILTER = 2;
const SECCOMP_RET_ALLOW = 0x7fff_0000;
const SECCOMP_RET_ERRNO = 0x0005_0000;
const NR_IO_URING_SETUP = 425;

/** struct sock_filter: code, jt, jf, k. */
function instruction(code: number, jt: number, jf: number, k: number): number[] {
  return [code | (jt << 16) | (jf << 24), k];
}

const prctl = koffi.load(null).func('int prctl(int option, long a, void *b, long c, long d)');
const filter = new Uint32Array([
  ...instruction(0x20, 0, 0, 0), // BPF_LD | BPF_W | BPF_ABS: the call's number
  ...instruction(0x15, 0, 1, NR_IO_URING_SETUP), // BPF_JMP | BPF_JEQ
  ...instruction(0x06, 0, 0, SECCOMP_RET_ERRNO | Number(process.env.VEXFS_TEST_ERRNO)), // BPF_RET
  ...instruction(0x06, 0, 0, SECCOMP_RET_ALLOW),
]);
/** struct sock_fprog: how many instructions, and where. */
const program = new BigUint64Array([4n, koffi.address(filter) as bigint]);
if (prctl(PR_SET_NO_NEW_PRIVS, 1, null, 0, 0) !== 0) throw new Error('no_new_privs cannot be set');
if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) !== 0) throw new Error('no filter can be set');
