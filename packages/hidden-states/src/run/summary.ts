import { type DeviceKind, deviceKind } from '@scorer/core/onnx';
import type { ComputeType } from '../graph/graph-weights.js';
import type { ExtractionPlan } from './plan/plan-extraction.js';
import type { PlannedShard } from './plan/plan-shards.js';
import type { MadeShard } from './shard/extract-shard.js';

export interface ExtractedShard {
  path: string;
  traces: number;
  steps: number;
  failures: number;
  /** `kept` where an earlier run had finished it. */
  status: 'written' | 'kept';
}

export interface ExtractSummary {
  shards: ExtractedShard[];
  traces: number;
  steps: number;
  failures: number;
  /** Traces that this run stored; the others were there already, or failed. */
  stored: number;
  layers: number[];
  hidden_size: number;
  model: string;
  device: DeviceKind;
  dtype: ComputeType;
}

/** @param made the shards that were missing; undefined where none was */
export function summarize(
  model: string,
  { shards: planned, finished, contents, device }: ExtractionPlan,
  made?: ReadonlyMap<PlannedShard, MadeShard>,
): ExtractSummary {
  const shards = planned.map((shard) => finished.get(shard) ?? made!.get(shard)!.shard);
  const total = (key: 'traces' | 'steps' | 'failures'): number => shards.reduce((sum, shard) => sum + shard[key], 0);
  return {
    shards,
    traces: total('traces'),
    steps: total('steps'),
    failures: total('failures'),
    stored: [...(made?.values() ?? [])].reduce((sum, { stored }) => sum + stored, 0),
    layers: [...contents.layers],
    hidden_size: contents.hiddenSize,
    model,
    device: deviceKind(device),
    dtype: contents.compute,
  };
}
