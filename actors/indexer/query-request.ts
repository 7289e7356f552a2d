/**
 * The requests of `.vexfs/query` and of the control socket's method `query`: one JSON object, `op` says which.
 * Bytes are base64, or UTF-8 where there is `text`; a vector is a list of numbers, or base64 of little-endian float32.
 * docs/QUERY.md describes them for users.
 */
import { z } from 'zod';
import type { Change } from '../../fuse/namespace/change-set.ts';
import { ELEMENTS, METRICS } from '../../fuse/namespace/collections.ts';
import { SEARCH_EF_MAX, SEARCH_K_MAX, VECTOR_DIMENSION_MAX } from '../../runtime/config/bounds.ts';

const DEFAULT = 'default';
/** Most files of one `vectors` request. */
const BATCH_MAX = 100_000;
/** Most changes of one transaction: what they take of the journal is limited beside (TRANSACTION_MAX). */
const CHANGES_MAX = 1000;

const base64 = z.string().refine((text) => text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text), {
  message: 'expected base64',
});
const vector = z.union([z.array(z.number()).max(VECTOR_DIMENSION_MAX), base64], {
  error: `expected at most ${VECTOR_DIMENSION_MAX} finite numbers, or base64 of float32`,
});
const k = z.int().min(1).max(SEARCH_K_MAX).default(10);
/** Seconds since the epoch, or a date that JavaScript understands. */
const time = z.union(
  [
    z.number(),
    z.string().transform((text, context) => {
      const ms = Date.parse(text);
      if (Number.isFinite(ms)) return ms / 1000;
      context.addIssue('no date');
      return z.NEVER;
    }),
  ],
  { error: 'expected a date such as "2026-01-31", or seconds since 1970' },
);

const filter = z
  .strictObject({
    under: z.string().optional(),
    /** Endings of names, such as "md". */
    type: z.union([z.string(), z.array(z.string())]).optional(),
    owner: z.int().min(0).optional(),
    group: z.int().min(0).optional(),
    /** Of the last modification. */
    after: time.optional(),
    before: time.optional(),
    /** One of those in `user.xdg.tags`, separated by commas. */
    tag: z.string().optional(),
    minBytes: z.number().min(0).optional(),
    maxBytes: z.number().min(0).optional(),
  })
  .default({});

export type Filter = z.output<typeof filter>;

const bytes = { text: z.string().optional(), base64: base64.optional() };
const change = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('write'),
    path: z.string(),
    ...bytes,
    mode: z
      .string()
      .regex(/^[0-7]{3,4}$/)
      .default('644'),
    new: z.boolean().default(false),
  }),
  z.strictObject({
    op: z.literal('mkdir'),
    path: z.string(),
    mode: z
      .string()
      .regex(/^[0-7]{3,4}$/)
      .default('755'),
  }),
  z.strictObject({ op: z.literal('remove'), path: z.string() }),
  z.strictObject({
    op: z.literal('attribute'),
    path: z.string(),
    name: z.string(),
    ...bytes,
    remove: z.boolean().default(false),
  }),
  z.strictObject({
    op: z.literal('vector'),
    path: z.string(),
    collection: z.string().default(DEFAULT),
    vector: vector.optional(),
    remove: z.boolean().default(false),
  }),
]);

const durable = z.boolean().default(true);
const collectionName = z
  .string()
  .regex(/^(?!\.)[\w.-]{1,63}$/, 'expected 1 to 63 of a-z, A-Z, 0-9, "_", "-" and, not in front, "."');

export const queryRequest = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('search'), text: z.string(), k, filter }),
  z.strictObject({ op: z.literal('similar'), path: z.string(), k, filter }),
  z.strictObject({
    op: z.literal('nearest'),
    collection: z.string().default(DEFAULT),
    vector: vector.optional(),
    like: z.string().optional(),
    k,
    ef: z.int().min(1).max(SEARCH_EF_MAX).optional(),
    patience: z.int().min(0).max(SEARCH_EF_MAX).optional(),
    minScore: z.number().optional(),
    filter,
  }),
  z.strictObject({ op: z.literal('collections') }),
  z.strictObject({
    op: z.literal('create-collection'),
    name: collectionName,
    dimension: z.int().min(1).max(VECTOR_DIMENSION_MAX),
    metric: z.enum(METRICS).default('cosine'),
    element: z.enum(ELEMENTS).default('int8'),
    m: z.int().min(2).max(128).optional(),
    efConstruction: z.int().min(1).max(10_000).optional(),
  }),
  z.strictObject({ op: z.literal('drop-collection'), name: collectionName }),
  z.strictObject({ op: z.literal('transaction'), changes: z.array(change).min(1).max(CHANGES_MAX), durable }),
  z.strictObject({
    op: z.literal('vectors'),
    collection: collectionName.default(DEFAULT),
    paths: z.array(z.string()).min(1).max(BATCH_MAX),
    vectors: base64.optional(),
    create: z.boolean().default(false),
    durable,
  }),
]);

/** What is wrong with a request, for those who wrote it. */
export function describeIssue(issue: z.core.$ZodIssue): string {
  const name = issue.path.join('.') || 'the request';
  const what = issue.message
    .replace(/^Invalid input: /, '')
    .replace(/^Too (?:big|small): expected .* (?:be|have) ([<>])=?/, (_, sign) =>
      sign === '<' ? 'may be at most ' : 'must be at least ',
    );
  if (issue.code === 'invalid_union' && issue.discriminator !== undefined)
    return `${name} is unknown or missing: ${what.replace(/^.*?Expected/, 'expected')}`;
  return what.endsWith('received undefined') ? `${name} is missing` : `${name}: ${what}`;
}

export type QueryRequest = z.output<typeof queryRequest>;
type RequestedChange = z.output<typeof change>;

/** The extended attribute that holds the vectors of a collection. */
export function vectorAttribute(collection: string): Uint8Array {
  return Buffer.from(collection === DEFAULT ? 'user.vexfs.vector' : `user.vexfs.vector.${collection}`);
}

/** Little-endian float32. */
export function vectorBytes(given: readonly number[] | string): Uint8Array {
  if (typeof given === 'string') return Buffer.from(given, 'base64');
  return new Uint8Array(Float32Array.from(given).buffer);
}

/** As the namespace takes it, or a sentence that says what is missing. */
export function changeOf(given: RequestedChange): Change | string {
  const { op, path } = given;
  switch (op) {
    case 'mkdir':
      return { kind: 'directory', path, mode: Number.parseInt(given.mode, 8) };
    case 'remove':
      return { kind: 'remove', path };
    case 'write': {
      const data = bytesOf(given);
      if (data === undefined) return 'say what to write, as "text" or "base64"';
      return { kind: 'write', path, data, object: 0, mode: Number.parseInt(given.mode, 8), isNew: given.new };
    }
    case 'attribute': {
      const value = given.remove ? undefined : bytesOf(given);
      if (value === undefined && !given.remove)
        return 'give a value, as "text" or "base64", or "remove": true';
      return { kind: 'attribute', path, name: Buffer.from(given.name), value };
    }
    case 'vector': {
      const value = given.remove || given.vector === undefined ? undefined : vectorBytes(given.vector);
      if (value === undefined && !given.remove) return 'give a "vector", or "remove": true';
      return { kind: 'attribute', path, name: vectorAttribute(given.collection), value };
    }
  }
}

function bytesOf(given: {
  readonly text?: string | undefined;
  readonly base64?: string | undefined;
}): Uint8Array | undefined {
  if (given.text !== undefined) return Buffer.from(given.text);
  return given.base64 === undefined ? undefined : Buffer.from(given.base64, 'base64');
}
