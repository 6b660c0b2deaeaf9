import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadScoreTable, scoreTable } from './score-table.js';
import { sampleScoredTrace } from './scored-trace.test.support.js';

const TRACES = [
  sampleScoredTrace({ question: 'a', extracted_answer: '0.5', step_scores: [0.1, 0.2], score: 0.15, tokens: 10 }),
  sampleScoredTrace({ question: 'b', extracted_answer: '2', step_scores: [0.3], score: 0.3, prompt_tokens: 4 }),
  sampleScoredTrace({ question: 'a', extracted_answer: '1/2', step_scores: [0.4, 0.5, 0.6], score: 0.5, tokens: 30 }),
  sampleScoredTrace({ question: 'b', extracted_answer: null, is_correct: false, score: null, tokens: 0 }),
  sampleScoredTrace({ question: 'a', extracted_answer: '3', score: 0.7, tokens: 50 }),
];

test('traces of one question stand together, with their steps, wherever they stand in the file', () => {
  const table = scoreTable(TRACES);
  expect(table).toMatchObject({ questionCount: 2, traceCount: 5, questions: ['a', 'b'], groundTruths: ['1/2', '1/2'] });
  expect([...table.traceOffsets]).toEqual([0, 3, 5]);
  expect([...table.scores]).toEqual([0.15, 0.5, 0.7, 0.3, Number.NaN]);
  expect([...table.labels]).toEqual([0, 1, 0, 0, 0]);
  expect([...table.tokens]).toEqual([10, 30, 50, 100, 0]);
  expect([...table.promptTokens]).toEqual([Number.NaN, Number.NaN, Number.NaN, 4, Number.NaN]);
  expect([...table.stepOffsets]).toEqual([0, 2, 5, 6, 7, 7]);
  expect([...table.stepScores]).toEqual([0.1, 0.2, 0.4, 0.5, 0.6, 0.7, 0.3]);
  expect([...table.stepPositions]).toEqual([10, 20, 10, 20, 30, 10, 10]);
});

test('equal answers have one number, whatever their spelling; no answer has none', () => {
  const table = scoreTable(TRACES);
  expect([...table.answers]).toEqual([0, 0, 1, 0, -1]);
  expect(table.answerTexts).toEqual([['0.5', '3'], ['2']]);
});

test('thousands of steps are kept as they are', () => {
  const step_scores = Array.from({ length: 5000 }, (_, step) => step / 5000);
  const table = scoreTable([sampleScoredTrace({ step_scores }), sampleScoredTrace({ step_scores: [0.5] })]);
  expect([...table.stepScores]).toEqual([...step_scores, 0.5]);
});

test('confidences stand with their traces, and are nothing where there is none', () => {
  expect(scoreTable(TRACES).confidence).toBeUndefined();
  const table = scoreTable([
    ...TRACES,
    sampleScoredTrace({
      question: 'a',
      step_scores: [0.8, 0.9],
      confidence: { mean: 7, step_groups: [null, 6], by_fraction: { '0.5': { tail: 5 } } },
    }),
    sampleScoredTrace({ question: 'a', step_scores: [1], confidence: { mean: 8 } }),
    sampleScoredTrace({ question: 'b', score: 0.1 }),
  ]);
  const nothing = Number.NaN;
  const { whole, parts, stepGroups } = table.confidence!;
  expect([...whole.mean]).toEqual([nothing, nothing, nothing, 7, 8, nothing, nothing, nothing]);
  expect([...parts['0.5'].tail]).toEqual([nothing, nothing, nothing, 5, nothing, nothing, nothing, nothing]);
  expect([...whole.tail, ...parts['0.5'].mean].every(Number.isNaN)).toBe(true);
  expect(stepGroups).toHaveLength(table.stepScores.length);
  expect(stepGroups.indexOf(6)).toBe(table.stepScores.indexOf(0.9));
});

test('reads a file, and says so where it holds no trace', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'score-table-'));
  const [path, empty] = [join(folder, 'scores.jsonl'), join(folder, 'empty.jsonl')];
  writeFileSync(path, TRACES.map((trace) => `${JSON.stringify(trace)}\n`).join(''));
  writeFileSync(empty, '\n');
  expect(await loadScoreTable(path)).toEqual(scoreTable(TRACES));
  await expect(loadScoreTable(empty)).rejects.toMatchObject({ code: 'NO_TRACES', where: empty });
  rmSync(folder, { recursive: true });
});
