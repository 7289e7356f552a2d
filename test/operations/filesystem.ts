/**
 * The operations without a kernel: a message goes through the server's loop, and its answer comes out. Also the shared memory under them,
 * and what other threads would do with what it says.
 */
import { KEPT_PLAIN, Namespace, PLAIN, Place, planNamespace } from '../../fuse/namespace/namespace.ts';
import { type CompressOptions, compressObject } from '../../fuse/objects/compress.ts';
import { Content } from '../../fuse/objects/content.ts';
import { DataLocks, planDataLocks } from '../../fuse/objects/data-locks.ts';
import { ObjectFiles } from '../../fuse/objects/object-files.ts';
import { OpenFiles, planOpenFiles } from '../../fuse/objects/open-files.ts';
import { PassedFiles } from '../../fuse/objects/passed-files.ts';
import { planStagedSums, StagedSums } from '../../fuse/objects/staged-sums.ts';
import { type Summed, sumsOf } from '../../fuse/objects/summed-objects.ts';
import { planSyncHabits, SyncHabits } from '../../fuse/objects/sync-habits.ts';
import { Operations } from '../../fuse/operations/operations.ts';
import type { VirtualText } from '../../fuse/operations/ports.ts';
import { Resumption } from '../../fuse/operations/resumption.ts';
import { FOREVER, type Reply } from '../../fuse/protocol/reply.ts';
import type { Request } from '../../fuse/protocol/request.ts';
import type { Backing } from '../../fuse/session/backing.ts';
import { type Channel, UNMOUNTED } from '../../fuse/session/channel.ts';
import { Flight, flightBytes } from '../../fuse/session/flight.ts';
import { type Resumed, Server } from '../../fuse/session/server.ts';
import { planVirtual } from '../../fuse/virtual/node-table.ts';
import { VirtualTree } from '../../fuse/virtual/virtual-tree.ts';
import { KIB, MIB } from '../../runtime/config/bounds.ts';
import { ENOENT } from '../../runtime/errno.ts';
import { Arena } from '../../runtime/memory/arena.ts';
import { SlabAllocator } from '../../runtime/memory/slab.ts';
import type { Disk } from '../../runtime/storage/disk.ts';
import { formatJournal, JournalReader, journalRegionBytes } from '../../runtime/storage/journal-ring.ts';
import { WitnessedJournal } from '../../runtime/storage/witnessed-journal.ts';
import { FaultyDisk } from '../storage/faulty-disk.ts';
import type { Answer, Caller, Node } from './encoding.ts';
import { Handed } from './handed.ts';

export interface FilesystemOptions {
  inlineLimit?: number;
  disk?: Disk;
  maxInodes?: number;
  virtualNodes?: number;
  text?: VirtualText;
  descriptors?: number;
  slabBytes?: number;
  journalBytes?: number;
  accessLists?: boolean;
  accessTimes?: boolean;
  writeback?: boolean;
  /** Files may be passed through to these. */
  backing?: Backing;
  /** The shared memory of another harness, which is not used any more: this one takes over. */
  over?: SharedArrayBuffer;
  /** Whether the kernel waits for an answer to this request; an answer that it does not wait for is refused. */
  waitsFor?: (unique: number) => boolean;
}

const TEXTS: VirtualText = {
  hasQueries: true,
  list: () => ['main', 'fuse-0'],
  changedAt: () => 0,
  text: (path) =>
    path.startsWith('actors/main/') || !path.startsWith('actors') ? `text of ${path}\n` : undefined,
};

export class Filesystem {
  readonly disk: Disk;
  readonly arena: Arena;
  readonly slab: SlabAllocator;
  readonly namespace: Namespace;
  readonly virtual: VirtualTree;
  readonly objects: ObjectFiles;
  readonly content: Content;
  readonly staged: StagedSums;
  readonly operations: Operations;
  readonly handed = new Handed();
  readonly flight: Flight;
  /** Scratch for whoever locates a file. */
  readonly place = new Place();
  /** Called between the steps of a request. */
  onStep: (step: string) => void = () => {};
  /** Errors that operations threw. */
  readonly failures: unknown[] = [];
  /** Milliseconds since the epoch; tests move it. */
  now = 1_700_000_000_000;
  readonly #journal: JournalReader;
  readonly #server: Server;
  #message = 0;
  #sent: Buffer | undefined;
  #unique = 1;
  readonly #waitsFor: (unique: number) => boolean;

  constructor(options: FilesystemOptions = {}) {
    const inlineLimit = options.inlineLimit ?? 16 * KIB;
    const clock = { now: () => this.now, monotonic: () => this.now };
    this.disk = options.disk ?? new FaultyDisk();
    this.disk.mkdir('objects');
    this.#waitsFor = options.waitsFor ?? (() => true);
    this.arena = options.over === undefined ? this.#createArena(options) : Arena.attach(options.over);
    this.flight = new Flight(this.arena.region('flights'), 0);
    if (options.over === undefined) {
      SlabAllocator.format(this.arena.region('slab'));
      formatJournal(this.arena.region('journal'), 1);
    }
    this.slab = new SlabAllocator(this.arena.region('slab'));
    if (options.over === undefined)
      Namespace.format(this.arena, this.slab, { uid: 0, gid: 0, mode: 0o755, now: this.now });
    // Whoever waits for what is durable finds that everything is.
    const io = { ring: () => this.#journal.setDurable(this.#journal.published()) };
    const journal = new WitnessedJournal(this.arena.region('journal'), io, {
      publishing: () => {
        this.flight.publishing();
        this.onStep('publishing');
      },
      published: () => {
        this.onStep('published, not noted');
        this.flight.published();
        this.onStep('published');
      },
    });
    this.#journal = new JournalReader(this.arena.region('journal'));
    this.namespace = new Namespace(this.arena, this.slab, journal, { inlineLimit, clock });
    this.objects = new ObjectFiles(this.disk, options.descriptors ?? 4);
    const habits = new SyncHabits(this.arena);
    this.staged = new StagedSums(this.arena);
    const locks = new DataLocks(this.arena);
    const { namespace, objects, handed: events } = this;
    const passed =
      options.backing &&
      new PassedFiles({
        namespace,
        objects,
        locks,
        openFiles: new OpenFiles(this.arena),
        backing: options.backing,
        now: () => this.now,
        events,
      });
    const content = new Content(namespace, objects, locks, events, {
      habits,
      passed,
      staged: this.staged,
    });
    this.content = content;
    this.virtual = new VirtualTree(this.arena, this.slab, this.namespace, options.text ?? TEXTS, clock);
    this.operations = new Operations({
      namespace: this.namespace,
      content,
      virtual: this.virtual,
      handover: this.handed,
      disk: this.disk,
      clock,
      flight: this.flight,
      options: {
        entryTimeout: FOREVER,
        negativeTimeout: FOREVER,
        attrTimeout: FOREVER,
        model: 'test-model',
        accessLists: options.accessLists ?? true,
        accessTimes: options.accessTimes ?? false,
        writeback: options.writeback ?? false,
      },
    });
    const hooks = {
      started: () => {},
      finished: () => {},
      rang: () => true,
      failed: (_request: Request, error: unknown) => void this.failures.push(error),
    };
    this.#server = new Server(this.#channel(), this.operations, hooks, { flight: this.flight });
  }

  #createArena(options: FilesystemOptions): Arena {
    const maxInodes = options.maxInodes ?? 4096;
    return Arena.create([
      ...planNamespace({ maxInodes, maxDentries: 2 * maxInodes }),
      planVirtual(options.virtualNodes ?? 64),
      planDataLocks(),
      ...planOpenFiles(maxInodes),
      planSyncHabits(),
      planStagedSums(),
      { name: 'journal', bytes: journalRegionBytes(options.journalBytes ?? 4 * MIB) },
      { name: 'slab', bytes: options.slabBytes ?? 64 * MIB },
      { name: 'flights', bytes: flightBytes(1) },
    ]);
  }

  get request(): Request {
    return this.#server.request;
  }

  get reply(): Reply {
    return this.#server.reply;
  }

  /** One message in, at most one out. */
  #channel(): Channel {
    return {
      receive: () => {
        const length = this.#message;
        this.#message = 0;
        this.onStep(length > 0 ? 'received' : 'ended');
        return length > 0 ? length : UNMOUNTED;
      },
      send: (reply) => {
        this.onStep('answering');
        if (!this.#waitsFor(reply.u32[2]!)) return -ENOENT;
        this.#sent = Buffer.from(reply.u8.slice(0, reply.length));
        this.onStep('answered');
        return 0;
      },
      polled: 0,
      parked: 0,
    };
  }

  /** Sends the raw message that is in the request's buffer. */
  raw(length: number): Answer {
    this.#message = length;
    this.#sent = undefined;
    this.#server.serve();
    this.drainJournal();
    return this.#answer();
  }

  /** Ends the request that the harness before this one was at. */
  resume(): Answer & { resumed: Resumed } {
    this.#sent = undefined;
    const resumed = this.#server.resume(new Resumption(this.operations));
    this.drainJournal();
    return { resumed, ...this.#answer() };
  }

  #answer(): Answer {
    const sent = this.#sent as Buffer | undefined;
    if (sent === undefined) return { error: undefined, body: Buffer.alloc(0) };
    return { error: sent.readInt32LE(4), body: sent.subarray(16) };
  }

  call(opcode: number, node: Node, body: Uint8Array = Buffer.alloc(0), caller: Caller = {}): Answer {
    const { u8, u32 } = this.request;
    const length = 40 + body.length;
    u32[0] = length;
    u32[1] = opcode;
    u32[2] = this.#unique++;
    u32[3] = 0;
    u32[4] = node.lo;
    u32[5] = node.hi;
    u32[6] = caller.uid ?? 1000;
    u32[7] = caller.gid ?? 1000;
    u32[8] = caller.pid ?? 4242;
    u32[9] = 0;
    u8.set(body, 40);
    return this.raw(length);
  }

  /** Plays io: everything journalled so far is taken and forgotten. */
  drainJournal(): void {
    const limit = this.#journal.published();
    while (this.#journal.next(limit));
    this.#journal.release();
  }

  /** As the thread that compresses cold files and fuse-0 do: 0 or −errno. */
  compress({ lo }: Node, options: CompressOptions): number {
    const place = new Place();
    const failed = this.namespace.locate(lo, place);
    const { object: from, size, stored: form, generation, version } = place;
    if (failed < 0 || from === 0 || size === 0 || form !== PLAIN) return failed;
    const id = this.namespace.newObjectId();
    const stored = compressObject(this.disk, from, id, size, options);
    if (stored < 0) return stored;
    const to = stored === KEPT_PLAIN ? from : id;
    const done = this.content.compressed({ ino: lo, generation, version, from, to, stored });
    this.drainJournal();
    return done;
  }

  /** As the thread that takes checksums does, and then, after `meanwhile`, fuse-0: 0 or −errno. */
  sum({ lo }: Node, meanwhile = () => {}): number {
    const place = new Place();
    const failed = this.namespace.locate(lo, place);
    if (failed < 0 || place.object === 0) return failed;
    const { object, size, generation, version } = place;
    const { spoils } = this.staged;
    const sums = sumsOf(this.disk, object, size);
    if (typeof sums === 'number') return sums;
    meanwhile();
    const crc = this.staged.stage(sums);
    const taken: Summed = {
      ino: lo,
      generation,
      version,
      object,
      spoils,
      sums: this.staged.take(sums.length, crc)!,
    };
    const done = this.content.summed(taken);
    this.drainJournal();
    return done;
  }
}
