/** The late reply to a LOOKUP that asked the index, encoded by the thread that has the answer. */
import { Attr } from '../protocol/attr.ts';
import { BODY, encodeEntryOut, FOREVER, type Reply } from '../protocol/reply.ts';
import type { Question } from './result-directories.ts';
import type { SearchResult } from './result-links.ts';
import type { VirtualTree } from './virtual-tree.ts';

/**
 * Makes the directory of results and ends `reply` with it, or with an error: send it next. `answer` is the results
 * in order of rank, or the −errno to reply. Should the kernel not take the reply, the directory is given back by
 * `tree.forget(lo, hi, 1)` with the node id at the reply's BODY.
 */
export function answerQuery(
  tree: VirtualTree,
  reply: Reply,
  uniqueLo: number,
  uniqueHi: number,
  question: Question,
  answer: readonly SearchResult[] | number,
): void {
  const attr = new Attr();
  const failed = typeof answer === 'number' ? answer : tree.createResults(question, answer, attr);
  reply.beginUnique(uniqueLo, uniqueHi);
  if (failed < 0) reply.error(failed);
  else reply.ok(encodeEntryOut(reply.u32, BODY, attr, 0, FOREVER));
}
