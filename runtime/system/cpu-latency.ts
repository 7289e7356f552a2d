/**
 * Keeping idle CPUs awake for a while, by the kernel's own interface for it: while a process holds /dev/cpu_dma_latency
 * open with the value 0, idle CPUs poll instead of halting (Documentation/power/pm_qos_interface.rst). Waking a thread
 * on a halted virtual CPU costs some 20 to 50 µs, on a polling one 1 to 2 µs.
 */
import { closeSync, openSync, writeSync } from 'node:fs';

const DEVICE = '/dev/cpu_dma_latency';
/** PM_QOS_CPU_LATENCY_DEFAULT_VALUE: no wish, µs. */
const ANY_LATENCY = 2_000_000_000;

/** One thread's wish; the kernel grants the strictest of all. Ends with the process at the latest. */
export class CpuLatency {
  readonly #fd: number;
  readonly #none = new Int32Array([0]);
  readonly #any = new Int32Array([ANY_LATENCY]);
  #held = false;

  private constructor(fd: number) {
    this.#fd = fd;
    writeSync(fd, this.#any);
  }

  /** Undefined where the device is missing or not this user's to open. */
  static open(): CpuLatency | undefined {
    try {
      return new CpuLatency(openSync(DEVICE, 'r+'));
    } catch {
      return undefined;
    }
  }

  get held(): boolean {
    return this.#held;
  }

  hold(): void {
    if (this.#held) return;
    this.#held = true;
    writeSync(this.#fd, this.#none);
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    writeSync(this.#fd, this.#any);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
