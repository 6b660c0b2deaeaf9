import { counted } from '../figure-text.js';
import type { Figure } from './bootstrap.js';
import { type ConfidenceFigures, inTitles } from './confidence.js';
import type { Evaluation, RankFigures, VoteFigures } from './evaluate.js';
import type { FirstErrorFigures, ProcessBenchFigures } from './process-bench.js';

/** An evaluation as tables of text: each figure with half the width of its interval, differences with both ends. */
export function describeEvaluation(evaluation: Evaluation): string {
  const { questions, traces, right, without_answer, without_score, settings } = evaluation;
  const { n, auc, auc_by_fraction, calibration, baselines, aggregation, confidence, process_bench } = evaluation;
  const notes = [
    without_answer > 0 ? `${without_answer} without an answer` : '',
    without_score > 0 ? `${without_score} without a score` : '',
  ].filter(Boolean);
  const lines = [
    `${counted(questions, 'question')}, ${counted(traces, 'trace')}, ${percent(right / traces)} of them right${notes.map((note) => `, ${note}`).join('')}`,
    `± half of the 95 % interval (${settings.resamples} resamples of the questions)`,
    '',
    ...table(
      ['accuracy', 'single', 'majority', 'weighted', 'best of N', `top ${percent(settings.top)}`, 'oracle'],
      Object.entries(n).map(([size, figures]) => [`N = ${size}`, ...votes(figures).map(plusMinus)]),
    ),
    '',
    ...table(
      ['minus the majority', 'weighted', 'best of N', `top ${percent(settings.top)}`],
      Object.entries(n).map(([size, figures]) => [`N = ${size}`, ...differences(figures).map(interval)]),
    ),
    '',
    ...table(
      ['by length alone', 'weighted', 'best of N', `top ${percent(settings.top)}`],
      Object.entries(baselines.length.n).map(([size, figures]) => [`N = ${size}`, ...choices(figures).map(plusMinus)]),
    ),
    '',
    ...table(
      ['right above wrong', 'AUC, all traces', 'AUC within questions', 'pairs in order'],
      [
        ['score', ...ranks(auc)],
        ...inOrder(auc_by_fraction).map(([fraction, figures]) => [
          `mean of the first ${percent(Number(fraction))}`,
          ...ranks(figures),
        ]),
        ['length', ...ranks(baselines.length.auc)],
        ['score − length', ...ranks(baselines.length.scorer_minus.auc, interval)],
        ['answer frequency', ...ranks(baselines.answer_frequency.auc)],
        ['score − frequency', ...ranks(baselines.answer_frequency.scorer_minus.auc, interval)],
      ],
    ),
    '',
    `expected calibration error ${plusMinus(calibration.ece)}`,
  ];
  if (aggregation) {
    lines.push(
      '',
      ...table(
        ["a trace's score", 'AUC within questions', 'minus the mean'],
        Object.entries(aggregation.aggregations).map(([name, { within_question, minus_mean }]) => [
          name === aggregation.best ? `${name} (chosen)` : name,
          plusMinus(within_question),
          name === 'mean' ? '' : interval(minus_mean),
        ]),
      ),
      `chosen on ${counted(aggregation.chosen_on, 'question')}, reported on ${aggregation.reported_on} others`,
    );
  }
  if (confidence) lines.push('', ...describeConfidence(confidence));
  if (process_bench) lines.push('', ...describeProcessBench(process_bench));
  return lines.join('\n');
}

/** Votes of all traces, or of the most that vote; each measure beside the scorer and together with it. */
function describeConfidence({ traces, scorer, measures }: ConfidenceFigures): string[] {
  const studied = inTitles(measures);
  const size = largestSize(scorer.n);
  const votes = (votesOf: Readonly<Record<string, ConfidenceVotes>>, write = plusMinus): string[] => {
    const { weighted, best_of_n, top10_filtered, top90_filtered } = votesOf[size]!;
    return [weighted, best_of_n, top10_filtered, top90_filtered].map((figure) => write(figure));
  };
  const fractions = inOrder(studied[0]?.figures.auc_by_fraction ?? {}).map(([fraction]) => fraction);
  return [
    ...table(
      [`by token confidence, N = ${size}`, 'weighted', 'best of N', 'top 10 %', 'top 90 %'],
      [
        ['score', ...votes(scorer.n)],
        ...studied.map(({ title, figures }) => [title, ...votes(figures.n)]),
        ...studied.map(({ title, figures }) => [`score − ${title}`, ...votes(figures.scorer_minus.n, interval)]),
        ...studied.map(({ title, figures }) => [`score + ${title}`, ...votes(figures.with_scorer.n)]),
      ],
    ),
    '',
    ...table(
      ['right above wrong', 'AUC, all traces', 'AUC within questions', 'pairs in order'],
      [
        ...studied.map(({ title, figures }) => [title, ...ranks(figures.auc)]),
        ...studied.map(({ title, figures }) => [`score − ${title}`, ...ranks(figures.scorer_minus.auc, interval)]),
        ...studied.map(({ title, figures }) => [`score + ${title}`, ...ranks(figures.with_scorer.auc)]),
        ...studied.flatMap(({ title, figures: { with_scorer } }) => [
          [`score + ${title} − ${title}`, ...ranks(with_scorer.minus_confidence.auc, interval)],
          [`score + ${title} − score`, ...ranks(with_scorer.minus_scorer.auc, interval)],
        ]),
      ],
    ),
    '',
    ...table(
      ['AUC within questions, first', ...fractions.map((fraction) => `${percent(Number(fraction))} of the steps`)],
      studied.map(({ title, figures }) => [
        title,
        ...fractions.map((fraction) => plusMinus(figures.auc_by_fraction[fraction]!.within_question)),
      ]),
    ),
    '',
    `${counted(traces, 'trace')} with a confidence; score + …: the mean of the ranks of both`,
  ];
}

/** Figures of the first wrong steps, of all traces and of each source. */
function describeProcessBench({ sources = {}, mean_f1, ...all }: ProcessBenchFigures): string[] {
  const row = (name: string, { traces, wrong, error_accuracy, correct_accuracy, f1 }: FirstErrorFigures): string[] => [
    name,
    String(traces),
    String(wrong),
    ...[error_accuracy, correct_accuracy, f1].map(plusMinus),
  ];
  const several = Object.entries(sources);
  const threshold = `a step is taken for wrong below ${all.threshold.toPrecision(3)}`;
  return [
    ...table(
      ['first wrong step', 'traces', 'wrong', 'accuracy on wrong', 'on right', 'F1'],
      [
        ...several.map(([name, figures]) => row(name, figures)),
        row(several.length === 0 ? 'ProcessBench' : 'all', all),
        ...(mean_f1 ? [['mean', '', '', '', '', plusMinus(mean_f1)]] : []),
      ],
    ),
    all.chosen_on === null
      ? threshold
      : `${threshold}, chosen on ${counted(all.chosen_on, 'question')}, reported on ${all.reported_on} others`,
  ];
}

type ConfidenceVotes = Record<'weighted' | 'best_of_n' | 'top10_filtered' | 'top90_filtered', Figure>;

const choices = ({ weighted, best_of_n, filtered }: VoteFigures): Figure[] => [weighted, best_of_n, filtered];
const votes = (figures: VoteFigures): Figure[] => [
  figures.single,
  figures.majority,
  ...choices(figures),
  figures.oracle,
];
const differences = (figures: VoteFigures): Figure[] => [
  figures.weighted_minus_majority,
  figures.best_of_n_minus_majority,
  figures.filtered_minus_majority,
];
const ranks = ({ pooled, within_question, rank_accuracy }: RankFigures, write = plusMinus): string[] =>
  [pooled, within_question, rank_accuracy].map((figure) => write(figure));

/** `all`, or the most traces that vote. */
export function largestSize(n: Readonly<Record<string, unknown>>): string {
  return 'all' in n ? 'all' : Object.keys(n).at(-1)!;
}

/** By their numbers: an object's own order has whole numbers first. */
function inOrder<Value>(byNumber: Readonly<Record<string, Value>>): [string, Value][] {
  return Object.entries(byNumber).sort(([a], [b]) => Number(a) - Number(b));
}

function plusMinus({ value, ci95 }: Figure): string {
  return value === null || !ci95 ? '–' : `${value.toFixed(3)} ±${((ci95[1] - ci95[0]) / 2).toFixed(3)}`;
}

function interval({ value, ci95 }: Figure): string {
  return value === null || !ci95 ? '–' : `${signed(value)} [${signed(ci95[0])}, ${signed(ci95[1])}]`;
}

function signed(value: number): string {
  const digits = value.toFixed(3);
  if (Number(digits) === 0) return ' 0.000';
  return value < 0 ? `−${digits.slice(1)}` : `+${digits}`;
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}

/** Columns as wide as their widest cell, the first to the left, the others to the right. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}
