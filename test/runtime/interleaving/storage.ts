/** What io-0 shares with those who write to the journal. */
import {
  formatJournal,
  JournalReader,
  JournalWriter,
  journalRegionBytes,
} from '../../../runtime/storage/journal-ring.ts';
import { StoreStatus } from '../../../runtime/storage/store-status.ts';
import { expect, nothing, type Scenario } from './scenario.ts';

export const storage: Record<string, Scenario> = {
  'store status, io-0 ends and its successor writes': {
    bytes: 4096,
    threads: [
      ({ i32 }) => {
        const status = new StoreStatus({ i32 });
        return () => status.write({ segment: 1, commits: 1 });
      },
      ({ i32 }) => {
        const status = new StoreStatus({ i32 });
        return () => {
          const { segment, commits } = status.read();
          expect(segment === commits, `numbers of one write belong together: ${segment}, ${commits}`);
        };
      },
    ],
    mortal: 0,
    heir: ({ i32 }) => {
      const status = new StoreStatus({ i32 });
      return () => {
        status.write({ segment: 2, commits: 2 });
        status.write({ segment: 3, commits: 3 });
      };
    },
    setup: nothing,
    check({ i32 }, alive) {
      const { segment, commits } = new StoreStatus({ i32 }).read();
      expect(segment === commits && segment === (alive ? 1 : 3), 'the last write is what is shown');
    },
  },
  'journal, a writer that waits for room ends': {
    bytes: journalRegionBytes(4096),
    threads: [
      (memory) => {
        const writer = new JournalWriter(memory);
        return () => {
          writer.waitForRoom(2000);
        };
      },
      (memory) => {
        const writer = new JournalWriter(memory);
        return () => {
          writer.waitForRoom(2000);
        };
      },
      (memory) => {
        const reader = new JournalReader(memory);
        return () => {
          reader.next(reader.published());
          reader.release();
          expect(reader.next(reader.published()), 'there are two records');
          reader.release();
        };
      },
    ],
    mortal: 0,
    heir: () => nothing,
    setup(memory) {
      formatJournal(memory, 1);
      const writer = new JournalWriter(memory);
      for (let i = 0; i < 2; i++) {
        writer.append(1, 2000);
        writer.commit();
      }
    },
    check: nothing,
  },
};
