import { type RandomStream, randomStream } from '@scorer/core/random';
import type { Split } from '@scorer/core/schema';
import type { SideCounts, SplitSummary } from '../result.js';
import type { TraceSteps } from './rows.js';

/** Steps of one side of the split. */
export interface StepSet {
  /** [steps] ascending: the row of each step in the folder. */
  readonly rows: Uint32Array;
  /** [steps]: 1 = its trace ends right. */
  readonly labels: Uint8Array;
}

export interface SplitChoice {
  readonly split: Split;
  readonly validationRatio: number;
  readonly seed: number;
}

export interface SplitSteps {
  readonly train: StepSet;
  readonly validation: StepSet;
  readonly summary: SplitSummary;
}

/**
 * Sets a share of the questions, of the traces or of the single steps apart for validation, drawn at random and
 * stratified, so that right and wrong ones stand on both sides in the same proportion: traces and steps by label,
 * questions by how often they are solved.
 */
export function splitSteps(steps: TraceSteps, { split, validationRatio, seed }: SplitChoice): SplitSteps {
  const random = randomStream(seed, `split by ${split}`);
  const isValidation = stepMembership(steps, split, validationRatio, random);
  const [train, validation] = [0, 1].map((side) => sideOf(steps, isValidation, side)) as [Side, Side];
  const shared = [...train.questions].filter((question) => validation.questions.has(question));
  return {
    train: train.set,
    validation: validation.set,
    summary: { kind: split, train: train.counts, validation: validation.counts, sharedQuestions: shared.length },
  };
}

/** [steps]: 1 where a step belongs to validation. */
function stepMembership(steps: TraceSteps, split: Split, ratio: number, random: RandomStream): Uint8Array {
  const { labels, questions, questionCount } = steps;
  switch (split) {
    case 'step':
      return drawStratified(spreadOverSteps(steps, labels), ratio, random);
    case 'trace':
      return spreadOverSteps(steps, drawStratified(labels, ratio, random));
    case 'question': {
      const chosen = drawStratified(solvedQuarters(labels, questions, questionCount), ratio, random);
      return spreadOverSteps(
        steps,
        Uint8Array.from(questions, (question) => chosen[question]!),
      );
    }
  }
}

/** [questions]: the share of right traces, in quarters, 0 … 4. */
function solvedQuarters(labels: Uint8Array, questions: Uint32Array, questionCount: number): Uint8Array {
  const right = new Float64Array(questionCount);
  const all = new Float64Array(questionCount);
  for (const [trace, question] of questions.entries()) {
    all[question]! += 1;
    right[question]! += labels[trace]!;
  }
  return Uint8Array.from(right, (count, question) => Math.round((4 * count) / all[question]!));
}

/**
 * Draws ⌈n · ratio⌉ of n units, from each stratum in proportion to its size; what rounding leaves goes to the strata
 * with the largest remainders.
 * @param strata [n]: the stratum of each unit
 * @returns [n]: 1 = drawn
 */
export function drawStratified(strata: Uint8Array, ratio: number, random: RandomStream): Uint8Array {
  const sizes = new Map<number, number>();
  for (const stratum of strata) sizes.set(stratum, (sizes.get(stratum) ?? 0) + 1);

  const quotas = [...sizes].map(([stratum, size]) => ({ stratum, size, quota: Math.floor(size * ratio) }));
  const total = Math.ceil(strata.length * ratio);
  const missing = total - quotas.reduce((sum, { quota }) => sum + quota, 0);
  const remainder = ({ size, quota }: { size: number; quota: number }): number => size * ratio - quota;
  quotas.sort((a, b) => remainder(b) - remainder(a) || a.stratum - b.stratum);
  for (const entry of quotas.slice(0, missing)) entry.quota++;

  // Selection sampling (Knuth, TAOCP 3.4.2, algorithm S) in all strata at once.
  const left = new Map(quotas.map(({ stratum, size, quota }) => [stratum, { size, quota }]));
  return strata.map((stratum) => {
    const rest = left.get(stratum)!;
    const isDrawn = random.below(rest.size) < rest.quota;
    rest.size--;
    if (isDrawn) rest.quota--;
    return Number(isDrawn);
  });
}

/** [traces] → [steps]. */
function spreadOverSteps({ offsets, rows }: TraceSteps, ofTrace: Uint8Array): Uint8Array {
  const ofStep = new Uint8Array(rows.length);
  for (let trace = 0; trace < ofTrace.length; trace++) ofStep.fill(ofTrace[trace]!, offsets[trace], offsets[trace + 1]);
  return ofStep;
}

interface Side {
  set: StepSet;
  counts: SideCounts;
  questions: ReadonlySet<number>;
}

function sideOf(steps: TraceSteps, membership: Uint8Array, side: number): Side {
  const isMember = (_: number, step: number): boolean => membership[step] === side;
  const rows = steps.rows.filter(isMember);
  const labels = spreadOverSteps(steps, steps.labels).filter(isMember);

  const questions = new Set<number>();
  let traces = 0;
  for (const [trace, question] of steps.questions.entries()) {
    if (!membership.subarray(steps.offsets[trace], steps.offsets[trace + 1]).includes(side)) continue;
    traces++;
    questions.add(question);
  }
  const positives = labels.reduce((sum, label) => sum + label, 0);
  return {
    set: { rows, labels },
    counts: { questions: questions.size, traces, steps: rows.length, positives },
    questions,
  };
}
