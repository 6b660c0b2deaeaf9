import { JSDOM } from 'jsdom';
import { beforeAll, expect, test, vi } from 'vitest';
import { traceView } from './viewer/trace-view.js';

beforeAll(() => {
  vi.stubGlobal('document', new JSDOM('').window.document);
  return () => vi.unstubAllGlobals();
});

const SUMMARY = { question: 0, source: 'a.safetensors, trace 1', answer: '4', right: true, score: 0.5, tokens: 9 };
const OVERVIEW = { questions: [], traces: [SUMMARY], blockStarts: [0], scale: [0.2, 0.5, 0.8] } as const;

/** The texts of what a trace is shown as, from under its sparkline on. */
function shown(pieces: [string, number | null][], scores = [0.25, 0.75]): string[] {
  const nodes: readonly { textContent: string | null }[] = traceView(SUMMARY, { scores, pieces }, OVERVIEW);
  return nodes.slice(scores.length > 0 ? 2 : 1).map(({ textContent }) => textContent ?? '');
}

test('above the steps stands what their figures are', () => {
  const pieces: [string, number | null][] = [
    ['One.\n\n', 0],
    ['Two.', 1],
  ];
  expect(shown(pieces)).toEqual(['stepscoremean', '10.250.25One.20.750.50Two.']);
});

test('scores that follow a text that could not be cut have it too, and a trace without scores has none', () => {
  expect(shown([['One. Two.', null]])).toEqual([
    expect.stringContaining('could not be cut into its 2 steps'),
    'One. Two.',
    'stepscoremean',
    '10.250.2520.750.50',
  ]);
  expect(shown([['One.', null]], [])).toEqual(['One.']);
});
