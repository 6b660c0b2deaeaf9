import { randomStream, sampleAscending } from '@scorer/core/random';
import type { Regions } from '@scorer/core/schema';
import type { Shard, ShardFolder } from '@scorer/core/shards';

/** The steps of a folder that a scorer learns from, by trace. */
export interface TraceSteps {
  /** [steps] ascending: the row of each step in the folder. */
  readonly rows: Uint32Array;
  /** [traces + 1]: trace i has the steps offsets[i] … offsets[i + 1]. */
  readonly offsets: Uint32Array;
  /** [traces]: 1 = the trace ends right. */
  readonly labels: Uint8Array;
  /** [traces]: number of the trace's question; traces of equal questions have equal numbers. */
  readonly questions: Uint32Array;
  readonly questionCount: number;
  /** Traces that have no step, left out of all the above. */
  readonly tracesWithoutSteps: number;
}

export interface StepChoice {
  readonly regions: Regions;
  /** Of a trace with T steps, max(1, floor(T · ratio)) are drawn without replacement. */
  readonly stepSampleRatio: number;
  readonly seed: number;
}

const REASONING = 1;

/** Chooses the steps to learn from. Costs 4 bytes of memory a step; hidden states are not read. */
export async function selectSteps(folder: ShardFolder, choice: StepChoice): Promise<TraceSteps> {
  const random = randomStream(choice.seed, 'sample steps');
  const rows = new Uint32Array(folder.stepCount);
  const offsets = [0];
  const labels: number[] = [];
  const questions: number[] = [];
  const numberOf = new Map<string, number>();

  let count = 0;
  for (const [k, shard] of folder.shards.entries()) {
    const texts = await shard.text('question');
    const isCandidate = await candidates(shard, choice.regions);
    for (let trace = 0; trace < shard.traceCount; trace++) {
      const [start, end] = [shard.stepOffsets[trace]!, shard.stepOffsets[trace + 1]!];
      const first = count;
      for (let step = start; step < end; step++) {
        if (isCandidate(step)) rows[count++] = folder.rowOffsets[k]! + step;
      }
      if (count === first) continue;
      if (choice.stepSampleRatio < 1) {
        const steps = count - first;
        const chosen = sampleAscending(steps, Math.max(1, Math.floor(steps * choice.stepSampleRatio)), random);
        for (const [i, step] of chosen.entries()) rows[first + i] = rows[first + step]!;
        count = first + chosen.length;
      }
      offsets.push(count);
      labels.push(shard.labels[trace]!);
      const question = texts[trace]!;
      if (!numberOf.has(question)) numberOf.set(question, numberOf.size);
      questions.push(numberOf.get(question)!);
    }
  }
  return {
    rows: rows.slice(0, count),
    offsets: Uint32Array.from(offsets),
    labels: Uint8Array.from(labels),
    questions: Uint32Array.from(questions),
    questionCount: numberOf.size,
    tracesWithoutSteps: folder.traceCount - labels.length,
  };
}

async function candidates(shard: Shard, regions: Regions): Promise<(step: number) => boolean> {
  if (regions === 'all') return () => true;
  const stepRegions = await shard.stepRegions();
  return (step) => stepRegions[step] === REASONING;
}
