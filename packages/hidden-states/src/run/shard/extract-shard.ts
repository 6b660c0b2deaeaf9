import { removePartial, type ShardWriter } from '@scorer/core/shards';
import type { PlannedShard } from '../plan/plan-shards.js';
import type { ExtractedShard } from '../summary.js';
import { inBatches } from './batches.js';
import { failureOf, type TraceFailure, writeFailures } from './failures.js';
import { checkFinite, checkFiniteConfidence } from './finite.js';
import { labelsOf } from './labels.js';
import type { RecordLine } from './records.js';
import { schedule } from './schedule.js';
import type { ShardRun } from './shard-run.js';
import { type PendingTrace, startTrace } from './start-trace.js';
import { type TokenizedTrace, tokenizeLine } from './tokenize-line.js';

export interface MadeShard {
  readonly shard: ExtractedShard;
  /** Traces that were stored now; the others were there already. */
  readonly stored: number;
}

/** Traces that the decoder has while others are tokenized and written. */
const TRACES_WAITING = 2;

/**
 * For each record, in the order that `schedule` gives: tokens → forward → rows at the step ends → append; then the shard
 * is sealed.
 */
export async function extractShard(
  shard: PlannedShard,
  lines: AsyncIterable<RecordLine>,
  writer: ShardWriter,
  run: ShardRun,
): Promise<MadeShard> {
  const { decoder, storage, budget, progress, signal } = run;
  // A batch is stored before the next is begun, which would take hours meanwhile.
  const waiting = decoder.batchTokens === undefined ? TRACES_WAITING : 0;
  const failures: TraceFailure[] = [];
  const inFlight: PendingTrace[] = [];
  const storedBefore = writer.finished.size;

  function fail(index: number, error: unknown): void {
    const failure = failureOf(index, error);
    failures.push(failure);
    progress.failed(shard, failure);
    budget.spend(failure);
  }

  async function* unfinished(): AsyncGenerator<RecordLine, void, undefined> {
    for await (const line of lines) {
      if (writer.finished.has(line.index)) progress.kept(line);
      else yield line;
    }
  }

  async function* tokenized(scheduled: AsyncIterable<RecordLine>): AsyncGenerator<TokenizedTrace, void, undefined> {
    for await (const line of scheduled) {
      signal?.throwIfAborted();
      let trace: TokenizedTrace;
      try {
        trace = tokenizeLine(line, run);
      } catch (error) {
        fail(line.index, error);
        continue;
      }
      yield trace;
    }
  }

  async function store({ index, record, tokens, confidence: given, outputs }: PendingTrace): Promise<void> {
    try {
      const { states: hiddenStates, confidence = given } = await outputs;
      checkFinite(hiddenStates, storage);
      if (confidence) checkFiniteConfidence(confidence);
      await writer.append({ traceIndex: index, ...tokens, ...labelsOf(record), hiddenStates, confidence });
      progress.done(shard, { index, steps: tokens.stepPositions.length });
    } catch (error) {
      fail(index, error);
    }
  }

  try {
    let newest: PendingTrace | undefined;
    for await (const batch of inBatches(tokenized(schedule(unfinished())), decoder.batchTokens ?? 0)) {
      // In one turn of the event loop, as the decoder wants those that it is to compute together.
      for (const trace of batch) {
        newest = startTrace(trace, run, newest);
        inFlight.push(newest);
      }
      while (inFlight.length > waiting) await store(inFlight.shift()!);
    }
    for (const trace of inFlight.splice(0)) await store(trace);
    const stored = writer.finished.size - storedBefore;
    const { traces, steps } = await writer.seal({ signal });
    await writeFailures(
      shard.path,
      failures.toSorted((a, b) => a.trace_index - b.trace_index),
    );
    progress.sealed(shard, { traces, steps, failures: failures.length });
    return { shard: { path: shard.path, traces, steps, failures: failures.length, status: 'written' }, stored };
  } finally {
    await writer.close();
    // A partial without a trace would only be litter.
    if (writer.finished.size === 0) await removePartial(shard.path);
  }
}
