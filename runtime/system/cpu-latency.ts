/**
 * Keeping idle CPUs awake for a while, by the kernel's own interface for it: while a process holds /dev/cpu_dma_latency
 * open with the value 0, idle CPUs poll instead of halting (Documentation/power/pm_qos_interface.rst). Waking a thread
 * on a halted virtual CPU costs some 20 to 50 µs, on a polling one 1 to 2 µs.
 *
 * The end of it is a timer of its own and not the timeout of the call that the thread sleeps in: on a virtual machine the hypervisor
 * has to be asked for each timer that is the next to expire, and again when it is cancelled, which costs half as much as a request.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { close, read, setTimer, timerDescriptor } from './libc.ts';

const DEVICE = '/dev/cpu_dma_latency';
/** PM_QOS_CPU_LATENCY_DEFAULT_VALUE: no wish, µs. */
const ANY_LATENCY = 2_000_000_000;

/** One thread's wish; the kernel grants the strictest of all. Ends with the process at the latest. */
export class CpuLatency {
  /** Readable each time that `tick` is to be called. */
  readonly timer: number;
  readonly #fd: number;
  readonly #lastMs: number;
  readonly #none = new Int32Array([0]);
  readonly #any = new Int32Array([ANY_LATENCY]);
  readonly #expirations = new Uint8Array(8);
  #held = false;
  #isRenewed = false;

  private constructor(fd: number, timer: number, lastMs: number) {
    this.#fd = fd;
    this.timer = timer;
    this.#lastMs = lastMs;
    writeSync(fd, this.#any);
  }

  /**
   * Undefined where the device is missing or not this user's to open.
   *
   * @param lastMs a hold ends so long after the last `hold`, or up to twice as long
   */
  static open(lastMs: number): CpuLatency | undefined {
    try {
      const fd = openSync(DEVICE, 'r+');
      const timer = timerDescriptor();
      if (timer >= 0) return new CpuLatency(fd, timer, lastMs);
      closeSync(fd);
    } catch {
      // Without it, threads take longer to wake up.
    }
    return undefined;
  }

  get held(): boolean {
    return this.#held;
  }

  hold(): void {
    this.#isRenewed = this.#held;
    if (this.#held) return;
    this.#held = true;
    writeSync(this.#fd, this.#none);
    setTimer(this.timer, this.#lastMs);
  }

  /** The timer has expired: ends the hold unless it was renewed since the last time. */
  tick(): void {
    if (read(this.timer, this.#expirations) < 0) return;
    if (!this.#isRenewed) this.release();
    this.#isRenewed = false;
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    setTimer(this.timer, 0);
    writeSync(this.#fd, this.#any);
  }

  close(): void {
    close(this.timer);
    closeSync(this.#fd);
  }
}
