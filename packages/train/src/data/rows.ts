import { randomStream, sampleAscending } from '@scorer/core/random';
import type { Regions } from '@scorer/core/schema';
import { NO_STEP_LABEL, type Shard, type ShardDataset } from '@scorer/core/shards';
import type { TraceLabels } from './labels.js';

/** The steps of a folder that a scorer learns from, by trace. */
export interface TraceSteps {
  /** [steps] ascending: the row of each step in the folder. */
  readonly rows: Uint32Array;
  /** [traces + 1]: trace i has the steps offsets[i] … offsets[i + 1]. */
  readonly offsets: Uint32Array;
  /** [traces] ascending: number of the trace in the folder. */
  readonly traces: Uint32Array;
  /** [traces]: 1 = the trace ends right, or is more right than not. */
  readonly labels: Uint8Array;
  /** [steps]: what is to be learnt of each step, 0 … 1; undefined where it is the trace's label. */
  readonly stepTargets?: Float32Array | undefined;
  /** [traces]: number of the trace's question; traces of equal questions have equal numbers. */
  readonly questions: Uint32Array;
  /** Traces that have no step to learn from, left out of all the above. */
  readonly tracesWithoutSteps: number;
}

export interface StepChoice {
  readonly regions: Regions;
  /** Of a trace with T steps, max(1, floor(T · ratio)) are drawn without replacement. */
  readonly stepSampleRatio: number;
  /** So many traces are drawn; all of them where left out. */
  readonly maxTraces?: number | undefined;
  readonly seed: number;
}

/** A number for each question's text, counted from 0; several folders can share them. */
export type QuestionNumbers = Map<string, number>;

const REASONING = 1;

/**
 * Chooses the steps to learn from. Costs 4 bytes of memory a step; hidden states are not read.
 * @param questionNumbers new questions are added to it
 * @param labels in place of those of the traces; a step without one is left out
 */
export async function selectSteps(
  dataset: ShardDataset,
  choice: StepChoice,
  questionNumbers: QuestionNumbers,
  labels?: TraceLabels,
): Promise<TraceSteps> {
  const isChosen = chosenTraces(dataset.traceCount, choice);
  const random = randomStream(choice.seed, 'sample steps');
  const isLabelled = (row: number): boolean => labels?.ofRows[row] !== NO_STEP_LABEL;
  const { numbers, texts } = await dataset.questions();
  const rows = new Uint32Array(dataset.stepCount);
  const offsets = [0];
  const traces: number[] = [];

  let trace = 0;
  let count = 0;
  for (const [k, shard] of dataset.shards.entries()) {
    const isCandidate = await candidates(shard, choice.regions);
    for (let i = 0; i < shard.traceCount; i++, trace++) {
      if (!isChosen(trace)) continue;
      const [start, end] = [shard.stepOffsets[i]!, shard.stepOffsets[i + 1]!];
      const first = count;
      for (let step = start; step < end; step++) {
        const row = dataset.rowOffsets[k]! + step;
        if (isCandidate(step) && isLabelled(row)) rows[count++] = row;
      }
      if (count === first) continue;
      if (choice.stepSampleRatio < 1) {
        const steps = count - first;
        const sample = sampleAscending(steps, Math.max(1, Math.floor(steps * choice.stepSampleRatio)), random);
        for (const [j, step] of sample.entries()) rows[first + j] = rows[first + step]!;
        count = first + sample.length;
      }
      offsets.push(count);
      traces.push(trace);
    }
  }
  const stepRows = rows.slice(0, count);
  const traceLabels = labels ? labels.ofTraces : dataset.labels;
  return {
    rows: stepRows,
    offsets: Uint32Array.from(offsets),
    traces: Uint32Array.from(traces),
    labels: Uint8Array.from(traces, (trace) => Number(traceLabels[trace]! >= 0.5)),
    stepTargets: labels && Float32Array.from(stepRows, (row) => labels.ofRows[row]!),
    questions: Uint32Array.from(traces, (trace) => numberOf(questionNumbers, texts[numbers[trace]!]!)),
    tracesWithoutSteps: Math.min(choice.maxTraces ?? trace, trace) - traces.length,
  };
}

function chosenTraces(count: number, { maxTraces, seed }: StepChoice): (trace: number) => boolean {
  if (maxTraces === undefined || maxTraces >= count) return () => true;
  const chosen = new Set(sampleAscending(count, maxTraces, randomStream(seed, 'draw traces')));
  return (trace) => chosen.has(trace);
}

async function candidates(shard: Shard, regions: Regions): Promise<(step: number) => boolean> {
  if (regions === 'all') return () => true;
  const stepRegions = await shard.stepRegions();
  return (step) => stepRegions[step] === REASONING;
}

function numberOf(questionNumbers: QuestionNumbers, text: string): number {
  const number = questionNumbers.get(text) ?? questionNumbers.size;
  questionNumbers.set(text, number);
  return number;
}
