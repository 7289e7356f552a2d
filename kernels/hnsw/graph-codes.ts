/** The int8 codes of a graph's vectors: when their quantiser is trained, with what, and whether they are good enough to walk by. */
import * as layout from '../assembly/layout.ts';
import { headerWord } from './graph-memory.ts';
import type { GraphOwner } from './graph-owner.ts';
import { type Quantiser, trainQuantiser } from './quantiser.ts';
import { type IndexOptions, SearchHits } from './vector-index.ts';

/** The quantiser is trained with so many vectors at most. */
const SAMPLE_MAX = 2048;
/** It is trained anew when the graph has grown by this factor, up to so many nodes … */
const TRAINING_GROWTH = 8;
const TRAINING_NODES_MAX = 200_000;
/** … or when of the nodes since, at least so many and this share of all, one in so many is far outside what it was trained for. */
const NEW_NODES_MIN = 64;
const NEW_SHARE = 1 / 32;
const OUTSIDE_SHARE = 1 / 16;
/** Vectors whose nearest are looked at to judge the codes, and how many of these. */
const PROBES = 24;
const PROBE_K = 10;
/** Codes that show less of the nearest than this are of no use. */
const RECALL_MIN = 0.85;

export class GraphCodes {
  readonly #owner: GraphOwner;
  readonly #options: IndexOptions;

  constructor(owner: GraphOwner, options: IndexOptions) {
    this.#owner = owner;
    this.#options = options;
  }

  get #trainedWith(): number {
    return this.#owner.header(layout.TRAINED_WITH);
  }

  /** See {@link GraphOwner.wantsTraining}. */
  get wantsTraining(): boolean {
    const { nodes } = this.#owner;
    if (nodes === 0) return false;
    if (nodes >= this.#trainedWith * TRAINING_GROWTH && this.#trainedWith < TRAINING_NODES_MAX) return true;
    const coded = this.#owner.header(layout.CODED);
    return (
      coded >= NEW_NODES_MIN &&
      coded >= nodes * NEW_SHARE &&
      this.#owner.header(layout.OUTSIDE) >= coded * OUTSIDE_SHARE
    );
  }

  /** First of the nodes whose links were chosen by codes of which many were cut, when that is why training is wanted. */
  get firstCut(): number {
    const { nodes } = this.#owner;
    const coded = this.#owner.header(layout.CODED);
    return this.#owner.header(layout.OUTSIDE) >= coded * OUTSIDE_SHARE ? this.#trainedWith : nodes;
  }

  /** Trains with vectors from all over the graph, and codes all of them anew. */
  train(): void {
    const owner = this.#owner;
    const sample = this.#sample();
    this.#use(
      trainQuantiser(owner.graph.f32, sample.length, this.#options.dimension, (row) =>
        owner.vectorAt(sample[row]!),
      ),
    );
    owner.exports.encodeAll();
    this.#begin();
  }

  #use(trained: Quantiser): void {
    const owner = this.#owner;
    const { f32, memory } = owner.graph;
    const { centres, steps, weights } = trained;
    f32.set(centres, owner.header(layout.CENTRES) / 4);
    f32.set(steps, owner.header(layout.STEPS) / 4);
    f32.set(
      steps.map((step) => 1 / step),
      owner.header(layout.INVERSES) / 4,
    );
    new Int16Array(memory.buffer, owner.header(layout.WEIGHTS), weights.length).set(weights);
    f32[headerWord(layout.UNIT)] = trained.unit;
    f32[headerWord(layout.WEIGHT_UNIT)] = trained.weightUnit;
    f32[headerWord(layout.CENTRE_SQUARED)] = centres.reduce((sum, each) => sum + each * each, 0);
  }

  #begin(): void {
    const { u32 } = this.#owner.graph;
    u32[headerWord(layout.TRAINED_WITH)] = this.#owner.nodes;
    u32[headerWord(layout.CODED)] = 0;
    u32[headerWord(layout.OUTSIDE)] = 0;
  }

  /** Nodes from all over the graph. Twins are left out: what is there many times would pass for all there is. */
  #sample(): Uint32Array {
    const { nodes, twins } = this.#owner;
    const distinct = new Uint32Array(nodes);
    let count = 0;
    for (let node = 0; node < nodes; node++) if (!twins.isTwin(node)) distinct[count++] = node;
    const rows = Math.min(count, SAMPLE_MAX);
    return Uint32Array.from({ length: rows }, (_, row) => distinct[Math.floor((row * count) / rows)]!);
  }

  /** Whether a graph may be walked over them. If not, it is made over float32. */
  areGood(): boolean {
    return this.#recall() >= RECALL_MIN;
  }

  /**
   * Of the nearest in a sample of the nodes, the share that their codes show, 0 … 1. Low where the differences that matter are
   * smaller than a step of the codes: in narrow clusters far from each other, or along a line.
   */
  #recall(): number {
    const sample = this.#sample();
    const byCode = new SearchHits(PROBE_K);
    const exactly = new SearchHits(PROBE_K);
    let shared = 0;
    for (let probe = 0; probe < PROBES; probe++) {
      const query = sample[Math.floor((probe * sample.length) / PROBES)]!;
      this.#owner.exports.makeQueryForm(this.#owner.vectorAt(query) * 4);
      byCode.begin(PROBE_K);
      exactly.begin(PROBE_K);
      for (const node of sample) {
        byCode.offer(node, this.#codeDistance(node));
        exactly.offer(node, this.#exactDistance(query, node));
      }
      // of equally near ones each is as good
      for (let i = 0; i < byCode.count; i++) {
        const distance = this.#exactDistance(query, byCode.labels[i]!);
        if (distance <= exactly.distances[exactly.count - 1]!) shared++;
      }
    }
    return shared / (PROBES * Math.min(PROBE_K, sample.length));
  }

  #codeDistance(node: number): number {
    const { exports, graph } = this.#owner;
    const code = this.#owner.header(layout.CODES) + node * this.#owner.header(layout.CODE_BYTES);
    const product = exports.dotI8(exports.queryFormAt() >>> 0, code, this.#owner.header(layout.CODE_LENGTH));
    return graph.f32[this.#owner.header(layout.NORMS) / 4 + node]! + product * exports.factorOfQuery();
  }

  #exactDistance(a: number, b: number): number {
    const { exports } = this.#owner;
    const bytes = this.#owner.header(layout.VECTOR_BYTES);
    const [x, y] = [this.#owner.vectorAt(a) * 4, this.#owner.vectorAt(b) * 4];
    return Math.fround(
      this.#options.metric === 'l2' ? exports.squaredF32(x, y, bytes) : 1 - exports.dotF32(x, y, bytes),
    );
  }
}
