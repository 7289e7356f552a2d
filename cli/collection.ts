import { type Command, Option } from 'commander';
import { VECTOR_DIMENSION_MAX } from '../runtime/config/bounds.ts';
import { roundSize } from '../runtime/config/size.ts';
import { UserError } from '../runtime/user-error.ts';
import { wholeNumber } from './arguments.ts';
import { findMount, type RunningMount, withMount } from './mounts.ts';
import { grouped, print, printJson, withHeader } from './terminal.ts';

interface Options {
  readonly mount?: string;
  readonly json?: true;
}

interface CreateOptions extends Options {
  readonly dimension: number;
  readonly metric: string;
  readonly element: string;
  readonly m?: number;
  readonly efConstruction?: number;
}

interface CollectionRow {
  readonly name: string;
  readonly dimension: number;
  readonly metric: string;
  readonly element: string;
  readonly m: number;
  readonly efConstruction: number;
  readonly vectors: number;
  readonly state: string;
  readonly figures?: {
    readonly engine: string;
    readonly tail: number;
    readonly graph: number;
    readonly walked: string;
    readonly graphs: number;
    readonly graphsMax: number;
    readonly full: number;
    readonly bytes: number;
    readonly bytesPerVector: number;
  };
}

const METRICS = ['cosine', 'l2', 'dot'];
const ELEMENTS = ['int8', 'float32'];
const HELP = `
A collection is made by its first vector, with that vector's length, and compared by cosine. Make it before for another metric.

Examples:
  vexfs collection create sift --dimension 128 --metric l2
  vexfs collection list
  vexfs collection drop sift          its vectors go from all files`;

export function addCollection(program: Command): void {
  const collection = program
    .command('collection')
    .summary('list, describe, make or drop collections of vectors')
    .description('Look after the collections that vectors of your own are in.')
    .addHelpText('after', HELP);
  const where = '-m, --mount <dir>';
  const mount = 'a mount (default: the one that contains the current directory)';
  collection
    .command('list')
    .description('Show all collections.')
    .option(where, mount)
    .option(
      '--json',
      'print JSON: [{"name", "dimension", "metric", "element", "m", "efConstruction", "vectors", "state", "figures"}, …]',
    )
    .action(list);
  collection
    .command('describe')
    .description('Show one collection.')
    .argument('<name>')
    .option(where, mount)
    .option('--json', 'print JSON')
    .action(describe);
  collection
    .command('create')
    .description('Make a collection; one that is there and is the same is left as it is.')
    .argument('<name>')
    .requiredOption('--dimension <number>', 'elements of its vectors', wholeNumber(1, VECTOR_DIMENSION_MAX))
    .addOption(new Option('--metric <metric>', 'what nearness is').choices(METRICS).default('cosine'))
    .addOption(
      new Option('--element <type>', 'what the graph is walked over; int8 is faster and takes less memory')
        .choices(ELEMENTS)
        .default('int8'),
    )
    .option('--m <number>', 'links of a vector in the graph (default: vectors.m)', wholeNumber(2, 128))
    .option(
      '--ef-construction <number>',
      'candidates looked at when a vector is added (default: vectors.ef_construction)',
      wholeNumber(1, 10_000),
    )
    .option(where, mount)
    .action(create);
  collection
    .command('drop')
    .description('Remove a collection, and its vectors from all files. The files stay.')
    .argument('<name>')
    .option(where, mount)
    .action(drop);
}

function ask<T>(mount: RunningMount, request: Record<string, unknown>): Promise<T> {
  const limit = { timeoutMs: Number.POSITIVE_INFINITY };
  return withMount(mount, async (client) => (await client.call('query', request, limit)) as T);
}

async function all(options: Options): Promise<CollectionRow[]> {
  const answer = await ask<{ collections: CollectionRow[] }>(findMount({ mount: options.mount }), {
    op: 'collections',
  });
  return answer.collections;
}

async function list(options: Options): Promise<void> {
  const collections = await all(options);
  if (options.json) {
    printJson(collections);
    return;
  }
  if (collections.length === 0) print('there are no collections yet; "vexfs vector set" makes one');
  else {
    const rows = collections.map(({ name, dimension, metric, vectors, state }) => [
      name,
      grouped(dimension),
      metric,
      grouped(vectors),
      state,
    ]);
    for (const row of withHeader(['COLLECTION', 'DIMENSION', 'METRIC', 'VECTORS', 'STATE'], rows, [1, 3]))
      print(row);
  }
}

async function describe(name: string, options: Options): Promise<void> {
  const found = (await all(options)).find((one) => one.name === name);
  if (found === undefined)
    throw new UserError(`there is no collection "${name}"; "vexfs collection list" shows what there is`);
  if (options.json) {
    printJson(found);
    return;
  }
  const configured = (value: number): string => (value === 0 ? 'as configured' : String(value));
  print(`collection      ${found.name}, ${found.state}`);
  print(`vectors         ${grouped(found.vectors)} of ${grouped(found.dimension)} float32`);
  print(`compared by     ${found.metric}`);
  print(
    `graph           over ${found.element}, M ${configured(found.m)}, efConstruction ${configured(found.efConstruction)}`,
  );
  if (found.figures !== undefined) for (const line of describeFigures(found.figures)) print(line);
}

function describeFigures({
  engine,
  tail,
  graph,
  walked,
  graphs,
  graphsMax,
  full,
  bytes,
  bytesPerVector,
}: NonNullable<CollectionRow['figures']>): string[] {
  const over = walked === '' ? '' : `, walked over ${walked}`;
  const lines = [
    `searched        ${grouped(graph)} by ${grouped(graphs)} of up to ${grouped(graphsMax)} graphs (${engine}${over}), ${grouped(tail)} exactly`,
    `memory          ${roundSize(bytes)}, ${grouped(bytesPerVector)} bytes a vector`,
  ];
  if (full > 0)
    lines.push(
      `no room         in the graphs of ${grouped(full)} shard(s): what comes is searched exactly; raise vectors.graph_memory, or workers.shards`,
    );
  return lines;
}

async function create(
  name: string,
  { dimension, metric, element, m, efConstruction, mount }: CreateOptions,
): Promise<void> {
  const request = { op: 'create-collection', name, dimension, metric, element, m, efConstruction };
  await ask(findMount({ mount }), request);
  print(`the collection "${name}" takes vectors of ${grouped(dimension)} elements, compared by ${metric}`);
}

async function drop(name: string, options: Options): Promise<void> {
  await ask(findMount({ mount: options.mount }), { op: 'drop-collection', name });
  print(`the collection "${name}" was dropped`);
}
