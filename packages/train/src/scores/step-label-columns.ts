import { growingArray } from './growing-array.js';
import type { ScoredTrace } from './scored-trace.js';

/** How right the steps of a table's traces are, N traces with S steps in all. */
export interface StepLabelColumns {
  /** [S]: 0 … 1; NaN where a step has no label. */
  readonly values: Float64Array;
  /** [N]: the source of each trace with labels, as its place among `sources`; -1 of others. */
  readonly sourceOf: Int32Array;
  /** Where the traces come from: the shards' names before `_hiddenstates_`. */
  readonly sources: readonly string[];
}

/** Collects labels trace by trace; memory is taken from the first trace that has some. */
export function collectStepLabels() {
  const values = growingArray(Float64Array);
  const sourceOf = growingArray(Int32Array);
  const sources = new Map<string, number>();
  let traces = 0;
  let steps = 0;

  return {
    add({ shard, step_scores, step_labels }: ScoredTrace): void {
      if (step_labels) {
        values.fillTo(steps, Number.NaN);
        sourceOf.fillTo(traces, NO_SOURCE);
        values.append(step_labels.map((label) => label ?? Number.NaN));
        const name = shard.replace(/_hiddenstates_\d+_\d+\.safetensors$/, '');
        const source = sources.get(name) ?? sources.size;
        sources.set(name, source);
        sourceOf.append([source]);
      }
      traces += 1;
      steps += step_scores.length;
    },

    /**
     * Undefined where no trace had labels.
     * @param order [N]: which of the traces stands at each place
     */
    columns(order: Uint32Array, reorderSteps: (values: Float64Array) => Float64Array): StepLabelColumns | undefined {
      if (sources.size === 0) return undefined;
      values.fillTo(steps, Number.NaN);
      sourceOf.fillTo(traces, NO_SOURCE);
      const ofTraces = sourceOf.view();
      return {
        values: reorderSteps(values.view()),
        sourceOf: Int32Array.from(order, (trace) => ofTraces[trace]!),
        sources: [...sources.keys()],
      };
    },
  };
}

const NO_SOURCE = -1;
