/** What this process is allowed beside its uid: capabilities(7). */
import { readFileSync } from 'node:fs';

const CAP_SYS_ADMIN = 21n;

/** Whether this process may call mount(2): root usually may, but not in most containers. */
export function hasSysAdmin(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> CAP_SYS_ADMIN) & 1n) === 1n;
}
