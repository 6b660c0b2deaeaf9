import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sampleScoredTrace } from '../scores/scored-trace.test.support.js';

const BIN = fileURLToPath(new URL('../../bin/scorer-train.js', import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'simulate-'));
  const traces = Array.from({ length: 24 }, (_, i) =>
    sampleScoredTrace({
      question: `question ${Math.floor(i / 4)}`,
      extracted_answer: i % 4 === 0 ? '7' : '1/2',
      step_scores: i % 4 === 0 ? [0.1, 0.1] : [0.8, 0.9],
      score: i % 4 === 0 ? 0.1 : 0.85,
      prompt_tokens: 5,
    }),
  );
  writeFileSync(join(folder, 'scores.jsonl'), traces.map((trace) => `${JSON.stringify(trace)}\n`).join(''));
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(...args: string[]) {
  return spawnSync(process.execPath, [BIN, 'simulate', ...args], { encoding: 'utf8', cwd: folder });
}

test('prints a row for each kind of policy and the best, with intervals', () => {
  const { status, stdout } = run('--scores', 'scores.jsonl', '--quiet');
  expect(status).toBe(0);
  const kinds = stdout.split('\n').flatMap((line) => /^([a-z-]+) .*%/.exec(line)?.[1] ?? []);
  expect(kinds).toEqual(['none', 'threshold', 'patience', 'keep-top', 'memory', 'budget', 'fewer', 'best']);
  expect(stdout).toMatch(/^best .*\[\d+\.\d %, \d+\.\d %\]/m);
});

test('--json prints one object: each figure with its interval, and every setting on both halves', () => {
  const { stdout } = run('--scores', 'scores.jsonl', '--policies', 'memory', '--max_loss', '0', '--json');
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ traces: 24, questions: { choosing: 3, reporting: 3 }, max_loss: 0, vote: 'weighted' });
  expect(Object.keys(result.by_policy)).toEqual(['memory', 'fewer']);
  expect(result.best.tokens_saved).toEqual({
    value: expect.any(Number),
    ci95: [expect.any(Number), expect.any(Number)],
  });
  expect(result.settings[0]).toMatchObject({ policy: { kind: 'none' }, choosing: { tokens: 380, weighted: 1 } });
});

test.each([
  ['an unknown policy', ['--scores', 'scores.jsonl', '--policies', 'luck'], 2],
  ['a loss above all accuracy', ['--scores', 'scores.jsonl', '--max-loss', '2'], 2],
  ['no such file', ['--scores', 'none.jsonl'], 3],
])('ends on %s with one line and its code', (_, args, code) => {
  const { status, stderr } = run(...args);
  expect(status).toBe(code);
  expect(stderr).toMatch(/^error\[[A-Z_]+\]: .*\n$/);
});
