import type { Figure } from './bootstrap.js';
import type { Evaluation, RankFigures, VoteFigures } from './evaluate.js';

/** An evaluation as tables of text: each figure with half the width of its interval, differences with both ends. */
export function describeEvaluation(evaluation: Evaluation): string {
  const { questions, traces, right, without_answer, without_score, settings } = evaluation;
  const { n, auc, auc_by_fraction, calibration, baselines, aggregation } = evaluation;
  const notes = [
    without_answer > 0 ? `${without_answer} without an answer` : '',
    without_score > 0 ? `${without_score} without a score` : '',
  ].filter(Boolean);
  const lines = [
    `${questions} questions, ${traces} traces, ${percent(right / traces)} of them right${notes.map((note) => `, ${note}`).join('')}`,
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
      `chosen on ${aggregation.chosen_on} questions, reported on ${aggregation.reported_on} others`,
    );
  }
  return lines.join('\n');
}

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
