import type { z } from 'zod';
import { UserError } from '../../runtime/user-error.ts';

/** Parameters that came over the control socket, checked. @throws {UserError} which one is wrong, and how. */
export function parse<T>(schema: z.ZodType<T>, params: Record<string, unknown>): T {
  const parsed = schema.safeParse(params);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new UserError(`parameter ${path.join('.') || '(all)'}: ${message}`);
}
