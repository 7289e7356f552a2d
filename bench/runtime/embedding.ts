/** What a pool of task threads costs beside the task that the indexer gives it: whether anything could be gained by stealing. */
import { Piscina } from 'piscina';
import { chunkText } from '../../kernels/text/chunk.ts';
import { Embedder } from '../../kernels/text/embedder.ts';
import { loadWords } from '../../kernels/text/words.ts';
import { readWords } from '../../kernels/text/words-file.ts';
import { type Effort, inRounds, type Part } from './measure.ts';

const WORDS =
  'the vector of a passage says what it is about and rings carry messages between the threads of a mount';
const TEXT_BYTES = 16 * 1024;

export async function embedding(effort: Effort): Promise<Part> {
  const embedder = new Embedder(loadWords(readWords()));
  const text = `${WORDS}. `.repeat(Math.ceil(TEXT_BYTES / WORDS.length)).slice(0, TEXT_BYTES);
  const bytes = new TextEncoder().encode(text);
  const pool = new Piscina<Uint8Array, number>({
    filename: new URL('./piscina-task.js', import.meta.url).href,
    minThreads: 1,
    maxThreads: 1,
  });
  const vector = new Float32Array(embedder.dimension);
  const timed = async (step: () => unknown): Promise<number> => {
    const times: number[] = [];
    for (const end = performance.now() + effort.milliseconds; performance.now() < end || times.length < 3; ) {
      const begin = performance.now();
      await step();
      times.push(performance.now() - begin);
    }
    return times.sort((a, b) => a - b)[times.length >> 1]! * 1000;
  };
  const embed = (): void => {
    for (const { start, end } of chunkText(text)) embedder.embedInto(text.slice(start, end), {}, vector);
  };
  try {
    await pool.run(bytes);
    embed();
    const row = 'a file of 16 KiB';
    const [task, transport] = ['cutting and embedding it', 'Piscina, there and back'];
    const samples = await inRounds(
      'embedding',
      [
        { row, peer: task, run: () => timed(embed) },
        { row, peer: transport, run: () => timed(() => pool.run(bytes)) },
      ],
      effort,
    );
    return {
      name: 'embedding',
      rows: [{ name: row, unit: 'µs', subject: transport, peers: [task, transport] }],
      notes: [
        'Tasks that live from JavaScript libraries stay with Piscina: a deque in shared memory could at most save what its hand-over costs beside the task itself.',
      ],
      samples,
    };
  } finally {
    await pool.destroy();
  }
}
