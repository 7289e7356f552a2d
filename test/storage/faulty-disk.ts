/** The simulated disk for tests that fail or cut single calls by their number, or end the thread that makes them. */
import { SimulatedDisk } from '../simulator/disk.ts';

export class PowerCut extends Error {}

export class FaultyDisk extends SimulatedDisk {
  readonly log: string[] = [];
  /** Before call n (counted from 1) the power goes. */
  cutAt = 0;
  /** errno by call number. */
  readonly failures = new Map<number, number>();
  /** Fails every call whose name it accepts. */
  failing: ((name: string, path: string) => number) | undefined;
  /** Asked before each call that changes something; ends the thread by throwing. */
  mortality: { step(): void; readonly tornFraction: number } | undefined;

  constructor() {
    super();
    this.onCall = (name, path) => {
      this.tornFraction = this.mortality?.tornFraction ?? 0;
      this.mortality?.step();
      this.tornFraction = 0;
      this.log.push(`${name} ${path}`);
      if (this.calls === this.cutAt) throw new PowerCut(`before call ${this.calls}: ${name} ${path}`);
    };
    this.fault = (name, path) => this.failures.get(this.calls) ?? this.failing?.(name, path) ?? 0;
  }
}
