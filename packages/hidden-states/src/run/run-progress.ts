import { basename } from 'node:path';
import type { OnProgress } from '@scorer/core/cli';
import { type DeviceKind, deviceKind } from '@scorer/core/onnx';
import type { ComputeType } from '../graph/graph-weights.js';
import type { MemoryFigures } from '../memory/plan-memory.js';
import type { ExtractionPlan } from './plan/plan-extraction.js';
import type { PlannedShard } from './plan/plan-shards.js';
import type { TraceFailure } from './shard/failures.js';
import type { ExtractSummary } from './summary.js';

/** What happens in an extraction, for programs; on stderr with `--json` (docs/formats.md). */
export type ExtractEvent =
  | ({ event: 'started' } & RunPlan)
  | ({ event: 'trace_done'; shard: string; trace_index: number; tokens: number; steps: number } & Standing)
  | ({ event: 'trace_failed'; shard: string } & TraceFailure & Standing)
  | { event: 'shard_sealed'; shard: string; traces: number; steps: number; failures: number }
  | { event: 'finished'; shards: number; traces: number; steps: number; failures: number; stored: number };

/** What a run is going to do. */
interface RunPlan {
  model: string;
  device: DeviceKind;
  dtype: ComputeType;
  layers: readonly number[];
  hidden_size: number;
  /** In all, and those of them that an earlier run had finished. */
  shards: number;
  shards_kept: number;
  /** Of the shards that are to be made. */
  traces: number;
  tokens: number;
  /** In bytes; null where it can't be told. */
  memory: MemoryFigures | null;
}

/** How far the run has come. Tokens are those up to a trace's last step end; what an earlier run stored is left out. */
interface Standing {
  traces_done: number;
  tokens_done: number;
  tokens_total: number;
  tokens_per_second: number;
  /** Null until something is done. */
  seconds_left: number | null;
}

export interface RunProgress {
  started(model: string, memory: MemoryFigures | null): void;
  /** The model is loaded: rates count from here. */
  computing(): void;
  /** A trace that an earlier run stored. */
  kept(trace: { index: number }): void;
  /** Of a trace that is not done yet a share of its arithmetic, layers and head. */
  computed(trace: { index: number }, share: number): void;
  done(shard: PlannedShard, trace: { index: number; steps: number }): void;
  failed(shard: PlannedShard, failure: TraceFailure): void;
  sealed(shard: PlannedShard, counts: { traces: number; steps: number; failures: number }): void;
  finished(summary: ExtractSummary): void;
}

/** Counts what a run does, for its progress line and its events. The time goes by tokens, not by traces. */
export function createRunProgress(
  plan: ExtractionPlan,
  {
    onProgress,
    onEvent,
  }: { onProgress?: OnProgress | undefined; onEvent?: ((event: ExtractEvent) => void) | undefined },
): RunProgress {
  const { tokensOf, contents } = plan;
  let startedAt = performance.now();
  let traces = 0;
  let tokens = 0;
  /** What is computed of traces that are not done, as tokens. */
  const begun = new Map<number, number>();
  let tokensTotal = plan.tokens;

  const tokensDone = (): number => Math.round([...begun.values()].reduce((sum, part) => sum + part, tokens));
  const tokensPerSecond = (): number => tokensDone() / Math.max((performance.now() - startedAt) / 1000, 1e-3);
  const show = (): void =>
    onProgress?.({
      stage: 'extracting hidden states',
      done: traces,
      total: plan.traces,
      unit: 'traces',
      work: { done: tokensDone(), total: tokensTotal, unit: 'tokens', perSecond: tokensPerSecond() },
    });
  const standing = (): Standing => {
    const done = tokensDone();
    const rate = tokensPerSecond();
    return {
      traces_done: traces,
      tokens_done: done,
      tokens_total: tokensTotal,
      tokens_per_second: Math.round(rate),
      seconds_left: done > 0 ? Math.round((tokensTotal - done) / rate) : null,
    };
  };

  return {
    started(model, memory) {
      onEvent?.({
        event: 'started',
        model,
        device: deviceKind(plan.device),
        dtype: contents.compute,
        layers: contents.layers,
        hidden_size: contents.hiddenSize,
        shards: plan.shards.length,
        shards_kept: plan.finished.size,
        traces: plan.traces,
        tokens: plan.tokens,
        memory,
      });
    },
    computing() {
      startedAt = performance.now();
    },
    kept({ index }) {
      traces += 1;
      tokensTotal -= tokensOf(index);
      show();
    },
    computed({ index }, share) {
      begun.set(index, share * tokensOf(index));
      show();
    },
    done(shard, { index, steps }) {
      begun.delete(index);
      traces += 1;
      tokens += tokensOf(index);
      const trace = { shard: basename(shard.path), trace_index: index, tokens: tokensOf(index), steps };
      onEvent?.({ event: 'trace_done', ...trace, ...standing() });
      show();
    },
    failed(shard, failure) {
      begun.delete(failure.trace_index);
      traces += 1;
      tokensTotal -= tokensOf(failure.trace_index);
      onEvent?.({ event: 'trace_failed', shard: basename(shard.path), ...failure, ...standing() });
      show();
    },
    sealed: (shard, counts) => onEvent?.({ event: 'shard_sealed', shard: basename(shard.path), ...counts }),
    finished({ shards, traces, steps, failures, stored }) {
      onEvent?.({ event: 'finished', shards: shards.length, traces, steps, failures, stored });
    },
  };
}
