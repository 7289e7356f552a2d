/** A broken invariant: a bug in VexFS, never a user's mistake. Stays on in production. */
export class InvariantViolation extends Error {
  override name = 'InvariantViolation';
}

/** Throws {@link InvariantViolation} unless `condition` holds. `message` is a constant, so the check costs a branch. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantViolation(message);
}
