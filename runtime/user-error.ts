/**
 * An expected failure that ends a command: `message` is one sentence for the person who typed it, naming the
 * value that was wrong and what to do. Printed without a stack trace.
 */
export class UserError extends Error {
  override name = 'UserError';
}
