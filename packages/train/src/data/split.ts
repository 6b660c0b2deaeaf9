import { permutation, type RandomStream, randomStream, sampleAscending } from '@scorer/core/random';
import type { Split } from '@scorer/core/schema';
import type { SideCounts, SplitSummary } from '../result.js';
import type { TraceSteps } from './rows.js';

/** Steps of one side of the split. */
export interface StepSet {
  /** [steps] ascending: the row of each step in the folder. */
  readonly rows: Uint32Array;
  /** [steps]: 1 = its trace ends right, or it is more right than not by its own label. */
  readonly labels: Uint8Array;
  /** [steps]: what is to be learnt, 0 … 1; the labels themselves unless they are soft. */
  readonly targets: Uint8Array | Float32Array;
}

export interface SplitChoice {
  readonly split: Split;
  readonly validationRatio: number;
  readonly seed: number;
  /** Which part of a k-fold split validates, from 1, in place of the ratio. */
  readonly fold?: { readonly number: number; readonly of: number } | undefined;
  /** Of a validation trace with T steps max(1, floor(T · ratio)) are drawn, the others left out; all by default. */
  readonly validationStepRatio?: number | undefined;
}

export interface SplitSteps {
  readonly train: StepSet;
  readonly validation: StepSet;
  /** [steps]: the side of each step. */
  readonly sides: Uint8Array;
  readonly summary: SplitSummary;
}

/**
 * Sets a share of the questions, of the traces or of the single steps apart for validation, drawn at random and
 * stratified, so that right and wrong ones stand on both sides in the same proportion: traces and steps by label,
 * questions by how often they are solved.
 */
export function splitSteps(
  steps: TraceSteps,
  { split, validationRatio, seed, fold, validationStepRatio = 1 }: SplitChoice,
): SplitSteps {
  const draw = (strata: Uint8Array): Uint8Array => {
    if (!fold) return drawStratified(strata, validationRatio, randomStream(seed, `split by ${split}`));
    const folds = dealStratified(strata, fold.of, randomStream(seed, `folds by ${split}`));
    return folds.map((number) => Number(number === fold.number - 1));
  };
  const sides = stepMembership(steps, split, draw);
  if (validationStepRatio < 1) leaveOut(sides, steps, validationStepRatio, randomStream(seed, 'sample steps'));
  const [train, validation] = [TRAINING, VALIDATION].map((side) => sideOf(steps, sides, side)) as [Side, Side];
  return { train: train.set, validation: validation.set, sides, summary: summarise(split, train, validation) };
}

const TRAINING = 0;
export const VALIDATION = 1;
const LEFT_OUT = 2;

/** Takes all but a drawn share of each trace's validation steps off their side. */
function leaveOut(sides: Uint8Array, { offsets }: TraceSteps, ratio: number, random: RandomStream): void {
  for (let trace = 0; trace + 1 < offsets.length; trace++) {
    const ofTrace = sides.subarray(offsets[trace], offsets[trace + 1]);
    const count = ofTrace.reduce((sum, side) => sum + Number(side === VALIDATION), 0);
    if (count === 0) continue;
    const drawn = sampleAscending(count, Math.max(1, Math.floor(count * ratio)), random);
    let passed = 0;
    let taken = 0;
    for (const [i, side] of ofTrace.entries()) {
      if (side !== VALIDATION) continue;
      if (passed++ === drawn[taken]) taken++;
      else ofTrace[i] = LEFT_OUT;
    }
  }
}

/** Nothing is split: validation has traces of its own, whose questions bear the same numbers. */
export function separateSteps(trainSteps: TraceSteps, validationSteps: TraceSteps): Omit<SplitSteps, 'sides'> {
  const whole = (steps: TraceSteps): Side => sideOf(steps, new Uint8Array(steps.rows.length), TRAINING);
  const [train, validation] = [whole(trainSteps), whole(validationSteps)];
  return { train: train.set, validation: validation.set, summary: summarise('folder', train, validation) };
}

function summarise(kind: SplitSummary['kind'], train: Side, validation: Side): SplitSummary {
  const shared = [...train.questions].filter((question) => validation.questions.has(question));
  return { kind, train: train.counts, validation: validation.counts, sharedQuestions: shared.length };
}

/** What `draw` draws of the questions, traces or steps, for each step. */
function stepMembership(steps: TraceSteps, split: Split, draw: (strata: Uint8Array) => Uint8Array): Uint8Array {
  const { labels, questions } = steps;
  switch (split) {
    case 'step':
      return draw(stepLabels(steps));
    case 'trace':
      return spreadOverSteps(steps, draw(labels));
    case 'question': {
      const chosen = draw(solvedQuarters(labels, questions));
      return spreadOverSteps(
        steps,
        Uint8Array.from(questions, (question) => chosen[question]!),
      );
    }
  }
}

/** [questions]: the share of right traces, in quarters, 0 … 4. */
function solvedQuarters(labels: Uint8Array, questions: Uint32Array): Uint8Array {
  const questionCount = questions.reduce((most, question) => Math.max(most, question + 1), 0);
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

/**
 * Deals units to k folds whose sizes, in all and in each stratum, differ by one at most.
 * @param strata [n]: the stratum of each unit
 * @returns [n]: the fold of each unit, 0 … k − 1
 */
export function dealStratified(strata: Uint8Array, k: number, random: RandomStream): Uint8Array {
  const folds = new Uint8Array(strata.length);
  const shuffled = permutation(strata.length, random);
  // One stratum after the other goes round the folds, each where the one before it ended.
  for (const [dealt, unit] of [...shuffled].sort((a, b) => strata[a]! - strata[b]!).entries()) folds[unit] = dealt % k;
  return folds;
}

/** [traces] → [steps]. */
function spreadOverSteps({ offsets, rows }: TraceSteps, ofTrace: Uint8Array): Uint8Array {
  const ofStep = new Uint8Array(rows.length);
  for (let trace = 0; trace < ofTrace.length; trace++) ofStep.fill(ofTrace[trace]!, offsets[trace], offsets[trace + 1]);
  return ofStep;
}

/** [steps]: 1 = right. */
function stepLabels(steps: TraceSteps): Uint8Array {
  if (steps.stepTargets) return Uint8Array.from(steps.stepTargets, (target) => Number(target >= 0.5));
  return spreadOverSteps(steps, steps.labels);
}

interface Side {
  set: StepSet;
  counts: SideCounts;
  questions: ReadonlySet<number>;
}

function sideOf(steps: TraceSteps, membership: Uint8Array, side: number): Side {
  const isMember = (_: number, step: number): boolean => membership[step] === side;
  const rows = steps.rows.filter(isMember);
  const labels = stepLabels(steps).filter(isMember);
  const targets = steps.stepTargets?.filter(isMember) ?? labels;

  const questions = new Set<number>();
  let traces = 0;
  for (const [trace, question] of steps.questions.entries()) {
    if (!membership.subarray(steps.offsets[trace], steps.offsets[trace + 1]).includes(side)) continue;
    traces++;
    questions.add(question);
  }
  const positives = labels.reduce((sum, label) => sum + label, 0);
  return {
    set: { rows, labels, targets },
    counts: { questions: questions.size, traces, steps: rows.length, positives },
    questions,
  };
}
