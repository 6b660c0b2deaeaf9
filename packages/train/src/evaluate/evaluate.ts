import { type OnProgress, parseOptions } from '@scorer/core/cli';
import { z } from 'zod';
import type { ScoreTable } from '../scores/score-table.js';
import { type AggregationStudy, aggregationStudy } from './aggregation-study.js';
import { baselineScores } from './baselines.js';
import { bootstrap, type Figure, resamplesSchema, type WithFigures } from './bootstrap.js';
import { calibration, type ReliabilityBin } from './calibration.js';
import { type ConfidenceFigures, confidenceStudy } from './confidence.js';
import { partialScores } from './partial-scores.js';
import { type ProcessBenchFigures, processBenchStudy } from './process-bench.js';
import { type RankStatistics, rankDifferences, rankingOf } from './ranks.js';
import { type SampleSize, type VoteStatistics, voteDifferences, voteStatistics } from './vote-statistics.js';
import { bestVotes } from './votes.js';

export const EVALUATE_DEFAULTS = { subsets: 200, resamples: 2000, seed: 0, top: 0.5 } as const;

const count = z.number().int().positive();

/** More of them change no digit that is shown, and take hours. */
const MAX_SUBSETS = 100_000;

/** Options of `evaluate`, named as the flags of the command. */
export const evaluateOptionsSchema = z.object({
  /** How many traces of a question vote; where left out 1, 2, 4, … and all. */
  n: z
    .array(z.union([count, z.literal('all')], { error: 'it is numbers of traces, as 1,4,16, or all' }))
    .min(1)
    .optional(),
  /** Random subsets of N traces, for questions that have more. */
  subsets: count.max(MAX_SUBSETS).default(EVALUATE_DEFAULTS.subsets),
  /** Of the bootstrap. */
  resamples: resamplesSchema.default(EVALUATE_DEFAULTS.resamples),
  /** Of subsets, resamples and halves. */
  seed: z.number().int().nonnegative().default(EVALUATE_DEFAULTS.seed),
  /** Share of the votes that the filtered vote keeps. */
  top: z.number().positive().max(1).default(EVALUATE_DEFAULTS.top),
  /** Below it a step is taken for wrong; where left out it is chosen on half of the questions. */
  stepThreshold: z.number().min(0).max(1).optional(),
});

export type EvaluateOptions = z.input<typeof evaluateOptionsSchema> & {
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
};

export type VoteFigures = WithFigures<VoteStatistics<'filtered'>>;
export type RankFigures = WithFigures<RankStatistics>;

/** What `evaluate` returns, and what `evaluate --json` prints; docs/evaluation.md says what each figure means. */
export interface Evaluation {
  readonly questions: number;
  readonly traces: number;
  /** Traces that are right. */
  readonly right: number;
  readonly without_answer: number;
  readonly without_score: number;
  /** By the number of traces that vote: `1`, `2`, …, `all`. */
  readonly n: Readonly<Record<string, VoteFigures>>;
  readonly auc: RankFigures;
  /** By the share of its steps that a trace's score, their mean, is made of: `0.25`, `0.5`, `0.75`, `1`. */
  readonly auc_by_fraction: Readonly<Record<string, RankFigures>>;
  /** Expected calibration error of the traces' scores, and where it comes from. */
  readonly calibration: { readonly ece: Figure; readonly bins: readonly ReliabilityBin[] };
  readonly baselines: {
    /** Scores of 1 / tokens. */
    readonly length: {
      readonly n: Readonly<Record<string, VoteFigures>>;
      readonly auc: RankFigures;
      /** By how much the scorer does better. */
      readonly scorer_minus: {
        readonly n: Readonly<Record<string, Pick<VoteFigures, 'weighted' | 'best_of_n' | 'filtered'>>>;
        readonly auc: RankFigures;
      };
    };
    /** The share of the question's traces that give the same answer; its votes are the majority's. */
    readonly answer_frequency: { readonly auc: RankFigures; readonly scorer_minus: { readonly auc: RankFigures } };
  };
  /** Null where fewer than two questions have right and wrong traces. */
  readonly aggregation: WithFigures<AggregationStudy> | null;
  /** Only where the file says how sure the model was. */
  readonly confidence?: ConfidenceFigures;
  /** Only where the file says how right steps are. */
  readonly process_bench?: ProcessBenchFigures;
  readonly settings: { subsets: number; resamples: number; seed: number; top: number };
}

const FRACTIONS = [0.25, 0.5, 0.75, 1];

/**
 * What a scorer is worth for choosing among the traces of a question: votes, ranks, calibration, against baselines, each
 * with an interval over questions.
 * @throws ScorerError `BAD_OPTION` (usage)
 */
export async function evaluate(table: ScoreTable, options: EvaluateOptions = {}): Promise<Evaluation> {
  const { n: sizes, stepThreshold, ...settings } = parseOptions(evaluateOptionsSchema, options);
  const { signal, onProgress } = options;
  const show = (stage: string, total: number, unit: string) => (done: number) =>
    onProgress?.({ stage, done, total, unit });

  const { length, answerFrequency } = baselineScores(table);
  const filters = [bestVotes('filtered', settings.top)];
  const voting = { ...settings, sizes: sizes ?? defaultSizes(table), filters, signal };
  const showVotes = (stage: string) => show(stage, table.questionCount, 'questions');
  const { ece, bins } = calibration(table);
  const n = await voteStatistics(table, table.scores, { ...voting, onProgress: showVotes('counting votes') });
  const ranking = rankingOf(table);
  const processBench =
    table.stepLabels && processBenchStudy(table, table.stepLabels, { ...settings, threshold: stepThreshold });
  const auc = ranking(table.scores);
  const byLength = {
    n: await voteStatistics(table, length, { ...voting, onProgress: showVotes('counting votes by length') }),
    auc: ranking(length),
  };
  const byFrequency = { auc: ranking(answerFrequency) };
  const ofFirstSteps = (fraction: number): RankStatistics => ranking(partialScores(table, { kind: 'mean' }, fraction));
  const plan = {
    n,
    auc,
    auc_by_fraction: Object.fromEntries(FRACTIONS.map((fraction) => [String(fraction), ofFirstSteps(fraction)])),
    calibration: { ece },
    baselines: {
      length: {
        ...byLength,
        scorer_minus: { n: voteDifferences(n, byLength.n, filters), auc: rankDifferences(auc, byLength.auc) },
      },
      answer_frequency: { ...byFrequency, scorer_minus: { auc: rankDifferences(auc, byFrequency.auc) } },
    },
    aggregation: aggregationStudy(table, settings) ?? null,
    ...(table.confidence && {
      confidence: await confidenceStudy(table, table.confidence, ranking, {
        ...voting,
        onVotes: (by, questions) => showVotes(`counting votes by ${by}`)(questions),
      }),
    }),
    ...(processBench && { process_bench: processBench }),
  };
  const onResamples = show('resampling questions', settings.resamples, 'resamples');
  const figures = await bootstrap(table.questionCount, plan, { ...settings, signal, onProgress: onResamples });
  return {
    questions: table.questionCount,
    traces: table.traceCount,
    right: countWhere(table.labels, (label) => label === 1),
    without_answer: countWhere(table.answers, (answer) => answer < 0),
    without_score: countWhere(table.scores, Number.isNaN),
    ...figures,
    calibration: { ...figures.calibration, bins },
    settings,
  };
}

/** 1, 2, 4, … below the number of traces of the question that has most, and all. */
function defaultSizes({ questionCount, traceOffsets }: ScoreTable): SampleSize[] {
  let most = 1;
  for (let q = 0; q < questionCount; q++) most = Math.max(most, traceOffsets[q + 1]! - traceOffsets[q]!);
  const sizes: SampleSize[] = [1];
  for (let size = 2; size < most; size *= 2) sizes.push(size);
  return [...sizes, 'all'];
}

function countWhere(values: Iterable<number>, holds: (value: number) => boolean): number {
  let count = 0;
  for (const value of values) count += Number(holds(value));
  return count;
}
