/** What the kernel has cached of a node and cannot know to be wrong; it is told before the request has its answer. */
import { forgetAttributesNow } from '../../fuse/session/notify.ts';
import { connectionOf } from '../connection.ts';
import type { Context } from '../context.ts';

export function forgetAttributes(context: Context, lo: number, hi: number): void {
  forgetAttributesNow(connectionOf(context), lo, hi);
}
