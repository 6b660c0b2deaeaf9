import { setImmediate } from 'node:timers/promises';
import { type OnProgress, parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { permutation, randomStream } from '@scorer/core/random';
import { z } from 'zod';
import { resamplesSchema } from '../evaluate/bootstrap.js';
import { loadScoreTable, type ScoreTable } from '../scores/score-table.js';
import type { Rates } from './clock.js';
import { policyGrid } from './grid.js';
import { mean, type Outcome, outcomesOf } from './outcome.js';
import { type Policy, type PolicyKind, STOPPING_KINDS, type StoppingKind } from './policy.js';
import { type PolicyFigures, policyFigures, type Vote } from './policy-figures.js';
import { timelines } from './timelines.js';

const rate = z.number().positive();

/** What `simulate` can be told, named as the flags of the command. */
export const simulateSettingsSchema = z.object({
  /** The accuracy of the vote may fall by so much. */
  maxLoss: z.number().nonnegative().max(1).default(0.01),
  /** The vote whose accuracy decides. */
  vote: z.enum(['majority', 'weighted']).default('weighted'),
  /** Kinds of policies that are tried; `confidence` only where the scores say how sure the model was. */
  policies: z
    .array(z.enum(STOPPING_KINDS))
    .min(1)
    .default([...STOPPING_KINDS]),
  /** Of the halves, of the bootstrap and of the order in which fewer traces are drawn. */
  seed: z.number().int().nonnegative().default(0),
  /** Bootstrap resamples of the questions. */
  resamples: resamplesSchema.default(1000),
  /** Tokens a second of a trace that runs alone. */
  streamRate: rate.default(50),
  /** Most tokens a second of all traces together. */
  batchRate: rate.default(2000),
});

export type SimulateSettings = z.input<typeof simulateSettingsSchema>;

export interface SimulateHooks {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** Means over the questions of one half. */
type Means = Readonly<Outcome>;

/** One setting of a policy on both halves of the questions. */
export interface Setting {
  readonly policy: Policy;
  readonly choosing: Means;
  readonly reporting: Means;
  /** What the vote that decides loses on the choosing half, and the standard error of that over its questions. */
  readonly loss: { readonly mean: number; readonly error: number };
  /** No other setting was as good with fewer tokens on the choosing half, nor better with as many. */
  readonly isPareto: boolean;
}

export interface Simulation {
  readonly traces: number;
  /** Traces whose prompt tokens are not known, so that these count as generated. */
  readonly unknownPrompts: number;
  readonly questions: { readonly choosing: number; readonly reporting: number };
  /** Those that the figures are of. */
  readonly reportingQuestions: readonly string[];
  readonly maxLoss: number;
  readonly vote: Vote;
  readonly seed: number;
  readonly rates: Rates;
  /** All figures from here are of the reporting half. */
  readonly nothingStopped: PolicyFigures;
  /**
   * The setting that spends the fewest tokens on the choosing half, of those whose loss there is within the allowed one
   * by a standard error: the luckiest of many settings would else be taken for the best.
   */
  readonly best: PolicyFigures;
  /** The same for each kind of policy; `fewer` is what sampling less would do, without a scorer. */
  readonly byKind: Readonly<Partial<Record<StoppingKind | 'fewer', PolicyFigures>>>;
  readonly settings: readonly Setting[];
}

/**
 * Early stopping, off line: what policies that stop traces by their scores would save in tokens and time, and what they
 * would cost in accuracy. Policies are chosen on one random half of the questions, and all figures are of the other.
 * @param options.scores scores.jsonl (also .gz and .zst, `-` for stdin)
 * @throws ScorerError `TOO_FEW_QUESTIONS`, `NO_CONFIDENCE`, `BAD_OPTION`, the codes of `loadScoreTable`
 */
export async function simulate({
  scores,
  ...options
}: { scores: string } & SimulateSettings & SimulateHooks): Promise<Simulation> {
  return simulateTable(await loadScoreTable(scores, options), options);
}

/** As `simulate`, of traces that are in memory. */
export async function simulateTable(
  table: ScoreTable,
  { signal, onProgress, ...given }: SimulateSettings & SimulateHooks = {},
): Promise<Simulation> {
  const settings = parseOptions(simulateSettingsSchema, given);
  const { maxLoss, vote, seed, resamples } = settings;
  const policies = settings.policies.filter((kind) => kind !== 'confidence' || table.confidence);
  if (policies.length === 0) throw noConfidence();
  const rates: Rates = { stream: settings.streamRate, batch: settings.batchRate };
  const [choosing, reporting] = halves(table.questionCount, seed);
  const lines = timelines(table, seed);
  const outcomeOf = outcomesOf(table, lines, rates);

  const onChoosing = (policy: Policy): Outcome[] => Array.from(choosing, (question) => outcomeOf(policy, question));
  const nothingLost = onChoosing({ kind: 'none' });
  const tried: Tried[] = [];
  const grid = policyGrid(lines, choosing, policies);
  for (const policy of grid) {
    const chosenFrom = onChoosing(policy);
    tried.push({
      policy,
      choosing: mean(chosenFrom),
      reporting: mean(Array.from(reporting, (question) => outcomeOf(policy, question))),
      loss: meanLoss(nothingLost, chosenFrom, vote),
    });
    onProgress?.({ stage: 'trying policies', done: tried.length, total: grid.length, unit: 'settings' });
    await setImmediate(); // so that a signal is heard
    signal?.throwIfAborted();
  }

  const kinds = [...policies, 'fewer'] as const;
  const chosen = [
    cheapest(tried, maxLoss, (kind) => kind !== 'fewer'),
    ...kinds.map((wanted) => cheapest(tried, maxLoss, (kind) => kind === wanted)),
  ];
  const [nothingStopped, best, ...byKind] = await policyFigures(
    [{ kind: 'none' }, ...chosen],
    { questions: reporting, outcomeOf, vote },
    { resamples, seed, signal },
  );
  return {
    traces: table.traceCount,
    unknownPrompts: table.promptTokens.filter((prompt, trace) => Number.isNaN(prompt) && table.tokens[trace]! > 0)
      .length,
    questions: { choosing: choosing.length, reporting: reporting.length },
    reportingQuestions: Array.from(reporting, (question) => table.questions[question]!),
    maxLoss,
    vote,
    seed,
    rates,
    nothingStopped: nothingStopped!,
    best: best!,
    byKind: Object.fromEntries(kinds.map((kind, i) => [kind, byKind[i]!])),
    settings: withPareto(tried, vote),
  };
}

function noConfidence(): ScorerError {
  return new ScorerError({
    code: 'NO_CONFIDENCE',
    what: 'the scores do not say how sure the model was, and the policy confidence goes by that alone',
    hint: 'extract with --confidence and score again, or try other policies',
  });
}

/** The questions in two random halves, each ascending. */
function halves(questionCount: number, seed: number): [Uint32Array, Uint32Array] {
  if (questionCount < 2) {
    throw new ScorerError({
      code: 'TOO_FEW_QUESTIONS',
      what: 'a policy is chosen on some questions and reported on others, and there is only one',
      hint: 'score the traces of more questions',
    });
  }
  const order = permutation(questionCount, randomStream(seed, 'halves of the questions'));
  const middle = Math.ceil(questionCount / 2);
  return [order.slice(0, middle).sort(), order.slice(middle).sort()];
}

type Tried = Omit<Setting, 'isPareto'>;

/** Means of equal outcomes differ by rounding. */
const ACCURACY_TOLERANCE = 1e-9;

/** Of the policies whose loss is within the allowed one by a standard error, the one that spends the fewest tokens. */
function cheapest(tried: readonly Tried[], maxLoss: number, isEligible: (kind: PolicyKind) => boolean): Policy {
  const allowed = tried.filter(
    ({ policy: { kind }, loss }) =>
      kind === 'none' || (isEligible(kind) && loss.mean + loss.error <= maxLoss + ACCURACY_TOLERANCE),
  );
  return allowed.reduce((best, other) => (other.choosing.tokens < best.choosing.tokens ? other : best)).policy;
}

/** Paired by question. */
function meanLoss(whole: readonly Outcome[], stopped: readonly Outcome[], vote: Vote): Setting['loss'] {
  const losses = whole.map((outcome, i) => outcome[vote] - stopped[i]![vote]);
  const { length } = losses;
  const average = losses.reduce((sum, loss) => sum + loss, 0) / length;
  const squares = losses.reduce((sum, loss) => sum + (loss - average) ** 2, 0);
  return { mean: average, error: Math.sqrt(squares / Math.max(length - 1, 1) / length) };
}

/** Marks the front: walking up from the fewest tokens, each setting that is better than all before it. */
function withPareto(tried: readonly Tried[], vote: Vote): Setting[] {
  const byTokens = tried
    .filter(({ policy }) => policy.kind !== 'fewer')
    .sort((a, b) => a.choosing.tokens - b.choosing.tokens || b.choosing[vote] - a.choosing[vote]);
  const front = new Set<Tried>();
  let best = Number.NEGATIVE_INFINITY;
  for (const setting of byTokens) {
    if (setting.choosing[vote] <= best + ACCURACY_TOLERANCE) continue;
    best = setting.choosing[vote];
    front.add(setting);
  }
  return tried.map((setting) => ({ ...setting, isPareto: front.has(setting) }));
}
