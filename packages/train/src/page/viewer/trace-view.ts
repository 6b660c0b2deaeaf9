import type { TraceDetail, TraceOverview, TraceSummary } from './data.js';
import { element, svgElement } from './element.js';

/** Strongest tint behind a step, in percent: text stays readable on it. */
const STRONGEST_TINT = 36;

const NO_TEXT = 'The text is not in this page: only the scores are shown.';

/** Units of the sparkline, which is stretched to its place. */
const SPARKLINE = { width: 1000, height: 100 };

/** The text of a trace with its steps coloured by score, and the running score beside it. */
export function traceView(summary: TraceSummary, { scores, pieces }: TraceDetail, overview: TraceOverview): Node[] {
  const means = runningMeans(scores);
  const numbered = pieces.length > 0 ? pieces : scores.map((_, step) => ['', step] as const);
  const steps = numbered.map(([text, step]) => {
    const item = element('li', { class: 'piece' }, [
      element('span', { class: 'gutter' }, step === null ? [] : stepFigures(step, scores[step]!, means[step]!)),
      element('span', { class: 'piece-text' }, [step === null ? text : withoutBlankEnd(text)]),
    ]);
    if (step !== null) tint(item, scores[step]!, overview.scale);
    return item;
  });
  const isLoose = pieces.length > 0 && scores.length > 0 && pieces.every(([, step]) => step === null);
  const notes = [
    ...(pieces.length === 0
      ? [scores.length === 0 ? 'This trace has no score, and no text in this page.' : NO_TEXT]
      : []),
    ...(isLoose ? [`The text could not be cut into its ${scores.length} steps; their scores follow it.`] : []),
  ].map((note) => element('p', { class: 'note' }, [note]));
  const titles = scores.length > 0 ? [columnTitles()] : [];
  const list = element('ol', { class: 'pieces' }, steps);
  return [
    heading(summary),
    ...(scores.length > 0 ? [sparkline(scores, means)] : []),
    ...notes,
    ...(isLoose ? [list, ...titles, looseScores(scores, means, overview)] : [...titles, list]),
  ];
}

function heading({ right, answer, score, tokens, source }: TraceSummary): HTMLElement {
  const figures = [
    score === null ? 'no score' : `score ${score.toFixed(3)}`,
    `${tokens.toLocaleString('en-US')} tokens`,
  ];
  return element('header', { class: 'trace-head' }, [
    element('span', { class: right ? 'mark right' : 'mark wrong' }, [right ? '✓ right' : '✗ wrong']),
    element('strong', {}, [answer ?? 'no answer']),
    element('span', { class: 'trace-figures' }, [figures.join(' · ')]),
    element('span', { class: 'trace-source' }, [source]),
  ]);
}

/** Above the columns that `stepFigures` fills. */
function columnTitles(): HTMLElement {
  const titles = [
    element('span', {}, ['step']),
    element('span', {}, ['score']),
    element('span', { title: 'running mean of the scores' }, ['mean']),
  ];
  return element('div', { class: 'column-titles' }, [element('span', { class: 'gutter' }, titles)]);
}

function stepFigures(step: number, score: number, mean: number): Node[] {
  const full = `step ${step + 1}: score ${score.toFixed(3)}, running mean ${mean.toFixed(3)}`;
  return [
    element('span', { class: 'step-number', title: full }, [String(step + 1)]),
    element('span', { class: 'step-score', title: full }, [decimals(score)]),
    element('span', { class: 'step-mean', title: full }, [decimals(mean)]),
  ];
}

function looseScores(scores: readonly number[], means: readonly number[], { scale }: TraceOverview): HTMLElement {
  return element(
    'ol',
    { class: 'pieces loose' },
    scores.map((score, step) => {
      const item = element('li', { class: 'piece' }, [
        element('span', { class: 'gutter' }, stepFigures(step, score, means[step]!)),
      ]);
      tint(item, score, scale);
      return item;
    }),
  );
}

/** Step scores as dots, their running mean as a line, 0 … 1 from bottom to top. */
function sparkline(scores: readonly number[], means: readonly number[]): Element {
  const { width, height } = SPARKLINE;
  const x = (step: number): number => ((step + 0.5) / scores.length) * width;
  const y = (value: number): number => (1 - value) * height;
  const svg = svgElement('svg', { class: 'sparkline', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none' });
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', `${scores.length} step scores, running mean ${means.at(-1)!.toFixed(3)} at the end`);
  // A line of no length with round ends is a dot that stays round however the picture is stretched.
  const dots = scores.map((score, step) => `M${x(step).toFixed(1)} ${y(score).toFixed(1)}h0`).join('');
  const line = means.map((mean, step) => `${x(step).toFixed(1)},${y(mean).toFixed(1)}`).join(' ');
  svg.append(
    svgElement('line', { class: 'half', x1: '0', x2: String(width), y1: String(height / 2), y2: String(height / 2) }),
    svgElement('path', { class: 'dots', d: dots }),
    svgElement('polyline', { class: 'mean', points: line }),
  );
  return svg;
}

function tint(item: HTMLElement, score: number, [low, middle, high]: TraceOverview['scale']): void {
  const isHigh = score >= middle;
  const distance = isHigh ? (score - middle) / (high - middle || 1) : (middle - score) / (middle - low || 1);
  item.classList.add(isHigh ? 'high' : 'low');
  item.style.setProperty('--strength', `${(STRONGEST_TINT * Math.min(distance, 1)).toFixed(1)}%`);
}

function runningMeans(scores: readonly number[]): number[] {
  let sum = 0;
  return scores.map((score, step) => {
    sum += score;
    return sum / (step + 1);
  });
}

/** The blank lines that end a step are the distance to the next one. */
function withoutBlankEnd(text: string): string {
  return text.replace(/\s+$/, '');
}

/** `0.62`: the column has room for no more, the tooltip has three decimals. */
function decimals(value: number): string {
  return value.toFixed(2);
}
