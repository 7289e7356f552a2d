/**
 * Quality of search on the Cranfield collection (1,400 abstracts, 225 queries, relevance judgements), which is
 * not part of this repository: `node dist/bench/search/cranfield.js FOLDER` with cran.all.1400, cran.qry and
 * cranqrel in the folder. A document's score is that of its best chunk; any judged document counts as relevant. Twice: with
 * names that say nothing, and with the titles as names of files, and not in their texts.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { chunkText } from '../../kernels/text/chunk.ts';
import { Embedder } from '../../kernels/text/embedder.ts';
import { Relevance } from '../../kernels/text/relevance.ts';
import { loadWords } from '../../kernels/text/words.ts';
import { readWords } from '../../kernels/text/words-file.ts';

interface Entry {
  readonly id: number;
  readonly fields: Map<string, string>;
}

interface Document {
  readonly id: number;
  readonly title: string;
  readonly chunks: readonly { readonly text: string; readonly vector: Float32Array }[];
}

/** Candidates that the second stage puts in order. */
const CANDIDATES = 50;
const CUT = 10;

/** SMART format: `.I number` starts an entry, `.X` a field. */
function readEntries(path: string): Entry[] {
  const entries: Entry[] = [];
  let field = '';
  for (const line of readFileSync(path, 'latin1').split('\n')) {
    if (line.startsWith('.I ')) entries.push({ id: Number(line.slice(3)), fields: new Map() });
    else if (/^\.[A-Z]$/.test(line.trimEnd())) field = line[1]!;
    else {
      const { fields } = entries.at(-1) ?? { fields: new Map<string, string>() };
      fields.set(field, `${fields.get(field) ?? ''}${line}\n`);
    }
  }
  return entries;
}

/** Query number (its position in cran.qry) → relevant documents. */
function readJudgements(path: string): Map<number, Set<number>> {
  const judgements = new Map<number, Set<number>>();
  for (const line of readFileSync(path, 'latin1').split('\n')) {
    const [query, document, grade] = line.trim().split(/\s+/).map(Number);
    if (!query || !document || !grade || grade < 1) continue;
    const relevant = judgements.get(query) ?? new Set();
    judgements.set(query, relevant.add(document));
  }
  return judgements;
}

/** `isNamed`: the title is the name of the file; else it is where the collection has it, at the beginning of the text. */
function embedDocuments(embedder: Embedder, entries: readonly Entry[], isNamed: boolean): Document[] {
  return entries.map(({ id, fields }) => {
    const whole = fields.get('W') ?? '';
    const heading = fields.get('T') ?? '';
    const text = isNamed && whole.startsWith(heading) ? whole.slice(heading.length) : whole;
    const title = isNamed ? `${heading.trim().replaceAll(/\W+/g, '-')}.md` : '';
    const chunks = chunkText(text).map(({ start, end }) => {
      const part = text.slice(start, end);
      return { text: part, vector: embedder.embed(part, { title }) };
    });
    return { id, title, chunks };
  });
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

type Scored = { readonly document: Document; readonly score: number };

function rank(documents: readonly Document[], score: (document: Document) => number): Scored[] {
  return documents
    .map((document) => ({ document, score: score(document) }))
    .sort((a, b) => b.score - a.score || a.document.id - b.document.id);
}

function best(document: Document, score: (chunk: Document['chunks'][number]) => number): number {
  return document.chunks.reduce((most, chunk) => Math.max(most, score(chunk)), 0);
}

class Measures {
  private readonly name: string;
  private queries = 0;
  private ndcg = 0;
  private averagePrecision = 0;
  private recall = 0;

  constructor(name: string) {
    this.name = name;
  }

  add(ranking: readonly Scored[], relevant: ReadonlySet<number>): void {
    let gain = 0;
    let ideal = 0;
    let hits = 0;
    let precisions = 0;
    ranking.forEach(({ document }, i) => {
      if (i < Math.min(CUT, relevant.size)) ideal += 1 / Math.log2(i + 2);
      if (!relevant.has(document.id)) return;
      hits++;
      precisions += hits / (i + 1);
      if (i < CUT) {
        gain += 1 / Math.log2(i + 2);
        this.recall += 1 / relevant.size;
      }
    });
    this.queries++;
    this.ndcg += gain / ideal;
    this.averagePrecision += precisions / relevant.size;
  }

  print(): void {
    const mean = (sum: number) => (sum / this.queries).toFixed(4);
    process.stdout.write(
      `${this.name.padEnd(32)} nDCG@10 ${mean(this.ndcg)}  MAP ${mean(this.averagePrecision)}  recall@10 ${mean(this.recall)}\n`,
    );
  }
}

function main(folder: string): void {
  const embedder = new Embedder(loadWords(readWords()));
  const entries = readEntries(join(folder, 'cran.all.1400'));
  const queries = readEntries(join(folder, 'cran.qry')).map(({ fields }) => fields.get('W') ?? '');
  const judgements = readJudgements(join(folder, 'cranqrel'));
  for (const isNamed of [false, true]) {
    const started = performance.now();
    const documents = embedDocuments(embedder, entries, isNamed);
    const seconds = (performance.now() - started) / 1000;
    const megabytes = entries.reduce((sum, { fields }) => sum + (fields.get('W')?.length ?? 0), 0) / 1e6;
    const names = isNamed ? 'titles as names' : 'names that say nothing';
    process.stdout.write(
      `${names}: embedded ${documents.length} documents at ${(megabytes / seconds).toFixed(1)} MB/s\n`,
    );
    measure(embedder, documents, queries, judgements);
  }
}

function measure(
  embedder: Embedder,
  documents: readonly Document[],
  queries: readonly string[],
  judgements: ReadonlyMap<number, ReadonlySet<number>>,
): void {
  const vectorOnly = new Measures('vectors');
  const reordered = new Measures(`vectors, first ${CANDIDATES} reordered`);
  queries.forEach((query, i) => {
    const relevant = judgements.get(i + 1);
    if (relevant === undefined) return;
    const vector = embedder.embed(query);
    const ranking = rank(documents, (document) => best(document, (chunk) => dot(chunk.vector, vector)));
    vectorOnly.add(ranking, relevant);
    const relevance = new Relevance(embedder.lexicon, query);
    const first = ranking.slice(0, CANDIDATES).map(({ document }) => document);
    const met = new Map(
      first.flatMap(({ title, chunks }) =>
        chunks.map((chunk) => [chunk, relevance.matches(chunk.text, title)]),
      ),
    );
    relevance.weigh(first.map(({ chunks }) => chunks.map((chunk) => met.get(chunk)!)));
    const order = rank(first, (document) =>
      best(document, (chunk) => relevance.combined(met.get(chunk)!, dot(chunk.vector, vector))),
    );
    reordered.add([...order, ...ranking.slice(CANDIDATES)], relevant);
  });
  vectorOnly.print();
  reordered.print();
}

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  process.stderr.write('usage: node dist/bench/search/cranfield.js FOLDER\n');
  process.exitCode = 2;
} else main(folder);
