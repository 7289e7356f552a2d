/** Messages between two threads: rings beside what else there is. */
import { type Channel, JsonChannel, PiscinaChannel, PostMessageChannel, RingChannel } from './channels.ts';
import { type Effort, inRounds, type Measurement, type Part, type Row } from './measure.ts';

const BATCH = 64;
const SUBJECT = 'ring';

interface Way {
  readonly row: string;
  readonly unit: Row['unit'];
  readonly run: (channel: Channel, ms: number) => Promise<number>;
  readonly least?: number;
  readonly targets?: Row['targets'];
}

const WAYS: readonly Way[] = [
  {
    row: '64 B, batches of 64',
    unit: '/s',
    run: (channel, ms) => channel.rate(64, BATCH, ms),
    least: 5_000_000,
  },
  { row: '64 B, one by one', unit: '/s', run: (channel, ms) => channel.rate(64, 1, ms) },
  { row: '4 KiB, batches of 64', unit: '/s', run: (channel, ms) => channel.rate(4096, BATCH, ms) },
  { row: '4 KiB, one by one', unit: '/s', run: (channel, ms) => channel.rate(4096, 1, ms) },
  { row: '64 B, there and back', unit: 'µs', run: (channel, ms) => channel.roundTrip(64, ms) },
  { row: '4 KiB, there and back', unit: 'µs', run: (channel, ms) => channel.roundTrip(4096, ms) },
];

/** As it is usually used: the ring batched, the others message by message. */
const USUAL = '64 B: ring batched, others one by one';

export async function messaging(effort: Effort): Promise<Part> {
  const channels = [new RingChannel(), new PostMessageChannel(), new PiscinaChannel(), new JsonChannel()];
  try {
    const measurements = WAYS.flatMap(({ row, run }) =>
      channels.map((channel): Measurement => {
        const { name: peer } = channel;
        return { row, peer, run: () => run(channel, effort.milliseconds) };
      }),
    );
    // Compiled and woken before anything counts.
    for (const { run } of WAYS) for (const channel of channels) await run(channel, effort.quick ? 5 : 100);
    const samples = await inRounds('messages', measurements, effort);
    const peers = channels.map(({ name }) => name);
    const usual = samples
      .filter(({ row, peer }) => row === (peer === SUBJECT ? WAYS[0]!.row : WAYS[1]!.row))
      .map((sample) => ({ ...sample, row: USUAL }));
    const rows: Row[] = WAYS.map(({ row, unit, least, targets }) => ({
      name: row,
      unit,
      subject: SUBJECT,
      peers,
      ...(least && { least }),
      ...(targets && { targets }),
    }));
    rows.push({ name: USUAL, unit: '/s', subject: SUBJECT, peers, targets: { postMessage: 20 } });
    return {
      name: 'messages',
      rows,
      notes: channels.map(({ name, what }) => `${name}: ${what}`),
      samples: [...samples, ...usual],
    };
  } finally {
    await Promise.all(channels.map((channel) => channel.close()));
  }
}
