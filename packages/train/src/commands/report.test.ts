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
  folder = mkdtempSync(join(tmpdir(), 'report-command-'));
  // The one wrong trace of each question begins low and ends so high that it outweighs the three right ones.
  const traces = Array.from({ length: 24 }, (_, i) =>
    sampleScoredTrace({
      question: `question ${Math.floor(i / 4)}`,
      extracted_answer: i % 4 === 0 ? '7' : '1/2',
      step_scores: i % 4 === 0 ? [0.1, 1] : [0.3, 0.3],
      score: i % 4 === 0 ? 0.99 : 0.3,
      prompt_tokens: 5,
    }),
  );
  writeFileSync(join(folder, 'scores.jsonl'), traces.map((trace) => `${JSON.stringify(trace)}\n`).join(''));
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(...args: string[]) {
  return spawnSync(process.execPath, [BIN, ...args, '--scores', 'scores.jsonl', '--quiet'], {
    encoding: 'utf8',
    cwd: folder,
  });
}

test('report says differences in points, with a true minus', () => {
  const { status, stdout } = run('report', '--output-file', 'page.html');
  expect(status).toBe(0);
  expect(stdout).toContain('weighted vote  0.0 % [0.0, 0.0], beside the majority −100.0 points [−100.0, −100.0]\n');
  expect(stdout).toMatch(/the weighted vote changes by \+100\.0 points \[100\.0, 100\.0\]/);
});

test('in the text of simulate a gain is a loss below zero, with the same minus; in JSON it is a number', () => {
  expect(run('simulate').stdout).toMatch(/^best .* −1\.000 +\[−1\.000, −1\.000\]/m);
  expect(JSON.parse(run('simulate', '--json').stdout).best.loss).toEqual({ value: -1, ci95: [-1, -1] });
});
