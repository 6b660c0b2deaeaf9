import { basename } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { permutation, randomStream } from '@scorer/core/random';
import { listShards, openShard, type Shard } from '@scorer/core/shards';
import type { ScoreTable } from '../scores/score-table.js';
import { readScoredTraces, type ScoredTrace } from '../scores/scored-trace.js';
import type { CheckpointOrigin } from './checkpoint-origin.js';
import { type TraceBlocks, traceBlocks } from './trace-blocks.js';
import { traceDetail } from './trace-text.js';
import type { TraceDetail } from './viewer/data.js';

export interface GatherOptions {
  /** At most so many traces, of questions drawn at random. */
  readonly maxTraces: number;
  /** Folder of the shards that hold the texts. */
  readonly inputDir?: string | undefined;
  readonly seed: number;
  /** Tells which traces the scorer was validated on. */
  readonly origin?: Pick<CheckpointOrigin, 'isHeldOut'> | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface GatheredTraces {
  readonly blocks: TraceBlocks;
  readonly traceCount: number;
  readonly questionCount: number;
  /** Traces that the page has no text of: of no shard in the folder, or past the limit on the size of the page. */
  readonly withoutText: number;
  /** Of all traces with steps, those that the scorer was validated on, where that is known, and the others. */
  readonly heldOut: { readonly yes: number; readonly no: number } | undefined;
}

/** Characters of all texts in a page: past this it would be too large to send or to open at once. */
const MAX_TEXT_CHARACTERS = 96 * 1024 ** 2;

/**
 * The traces that a page shows, whole questions in the order of the table, with their texts where there is a folder.
 * @throws ScorerError `SCORES_OF_OTHER_SHARDS`, the codes of `openShard` and `readScoredTraces`
 */
export async function gatherTraces(path: string, table: ScoreTable, options: GatherOptions): Promise<GatheredTraces> {
  const chosen = chooseQuestions(table, options);
  const isHeldOut = options.origin?.isHeldOut;
  const heldOut = { yes: 0, no: 0 };
  for await (const trace of readScoredTraces(path, { signal: options.signal })) {
    const traces = chosen.get(trace.question);
    if (traces && traces.length < options.maxTraces) traces.push(trace);
    if (isHeldOut && trace.step_scores.length > 0) heldOut[isHeldOut(trace) ? 'yes' : 'no'] += 1;
  }

  const blocks = traceBlocks();
  const texts = await openTexts(options.inputDir);
  let [traceCount, withoutText] = [0, 0];
  try {
    for (const [question, traces] of chosen) {
      for (const trace of traces) {
        options.signal?.throwIfAborted();
        const detail = await texts.detail(trace);
        traceCount += 1;
        if (detail.pieces.length === 0) withoutText += 1;
        const { ground_truth: truth, extracted_answer: answer, is_correct: right, score, tokens } = trace;
        const source = `${trace.shard}, trace ${trace.trace_index}`;
        blocks.add({ text: question, truth }, { source, answer, right, score, tokens }, detail);
      }
    }
  } finally {
    await texts.close();
  }
  return { blocks, traceCount, questionCount: chosen.size, withoutText, heldOut: isHeldOut && heldOut };
}

/** Whole questions, as many as there is room for; the first one in any case. */
function chooseQuestions(
  { questions, traceOffsets, traceCount }: ScoreTable,
  { maxTraces, seed }: GatherOptions,
): Map<string, ScoredTrace[]> {
  const isChosen = new Uint8Array(questions.length);
  let room = maxTraces;
  const order =
    traceCount <= maxTraces ? questions.keys() : permutation(questions.length, randomStream(seed, 'shown questions'));
  for (const question of order) {
    const traces = traceOffsets[question + 1]! - traceOffsets[question]!;
    if (traces > room && room < maxTraces) continue;
    isChosen[question] = 1;
    room -= traces;
    if (room <= 0) break;
  }
  return new Map(questions.filter((_, question) => isChosen[question] === 1).map((question) => [question, []]));
}

interface Texts {
  detail(trace: ScoredTrace): Promise<TraceDetail>;
  close(): Promise<void>;
}

/** The shards of a folder, opened as they are needed. */
async function openTexts(folder: string | undefined): Promise<Texts> {
  const paths = new Map((folder === undefined ? [] : await listShards(folder)).map((path) => [basename(path), path]));
  const shards = new Map<string, Promise<OpenShard>>();
  let room = MAX_TEXT_CHARACTERS;

  return {
    async detail({ shard: name, trace_index, question, step_positions, step_scores }) {
      const scores = step_scores.map((score) => Number(score.toPrecision(SCORE_DIGITS)));
      const path = paths.get(name);
      if (path === undefined || room <= 0) return { scores, pieces: [] };
      if (!shards.has(name)) shards.set(name, open(path));
      const { shard, traceOf, positions } = await shards.get(name)!;
      const trace = traceOf.get(trace_index) ?? Number.NaN;
      const [asked] = Number.isNaN(trace) ? [] : await shard.text('question', trace, trace + 1);
      const stepPositions = positions.subarray(shard.stepOffsets[trace], shard.stepOffsets[trace + 1]);
      if (asked !== question || !isAscendingSubset(step_positions, stepPositions))
        throw ofOtherShards(path, trace_index);
      const [fullForwardText] = await shard.text('full_forward_text', trace, trace + 1);
      const [originalResponse] = await shard.text('original_response', trace, trace + 1);
      const source = { fullForwardText: fullForwardText!, originalResponse: originalResponse!, stepPositions };
      const detail = traceDetail(source, step_positions, scores);
      room -= fullForwardText!.length;
      return detail;
    },
    async close() {
      for (const opened of shards.values()) await (await opened).shard.close();
    },
  };
}

/** More would not be seen. */
const SCORE_DIGITS = 5;

interface OpenShard {
  readonly shard: Shard;
  /** By `trace_index`. */
  readonly traceOf: ReadonlyMap<number, number>;
  readonly positions: Int32Array;
}

async function open(path: string): Promise<OpenShard> {
  const shard = await openShard(path);
  const traceOf = new Map(Array.from(shard.traceIndex, (index, trace) => [index, trace]));
  return { shard, traceOf, positions: await shard.stepPositions() };
}

function isAscendingSubset(part: readonly number[], whole: Int32Array): boolean {
  let at = 0;
  for (const value of part) {
    while (at < whole.length && whole[at]! < value) at++;
    if (whole[at] !== value) return false;
  }
  return true;
}

function ofOtherShards(path: string, traceIndex: number): ScorerError {
  return new ScorerError({
    code: 'SCORES_OF_OTHER_SHARDS',
    what: `trace ${traceIndex} is not the one that was scored`,
    where: path,
    hint: 'name the folder that the scores were made from',
  });
}
