/** A writer of the journal that tells somebody when its thread publishes a transaction. */
import { type JournalRegion, JournalWriter, type Wakeable } from './journal-ring.ts';

export interface PublicationWitness {
  /** Just before the store that publishes. */
  publishing(): void;
  /** Just after it. */
  published(): void;
}

export class WitnessedJournal extends JournalWriter {
  readonly #witness: PublicationWitness;

  constructor(region: JournalRegion, reader: Wakeable, witness: PublicationWitness) {
    super(region, reader);
    this.#witness = witness;
  }

  override commit(): void {
    this.#witness.publishing();
    super.commit();
    this.#witness.published();
  }
}
