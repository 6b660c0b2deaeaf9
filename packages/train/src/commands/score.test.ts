import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sampleTraces, writeShard } from '../sample-shards.test.support.js';
import { writeSampleScorer } from '../scores/sample-scorer.test.support.js';
import { scoreTraces } from '../scores/score-traces.js';

const BIN = fileURLToPath(new URL('../../bin/scorer-train.js', import.meta.url));
const LIBRARY = new URL('../../dist/index.js', import.meta.url).href;

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'score-command-'));
  mkdirSync(join(folder, 'hs'));
  const sample = { questions: 20, tracesPerQuestion: 32, steps: 4, hiddenSize: 2, layers: [3] };
  await writeShard(join(folder, 'hs/a.safetensors'), sampleTraces(sample), sample);
  await writeSampleScorer(join(folder, 'scorer'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const SCORE = ['score', '--scorer', 'scorer', '--input_dir', 'hs', '--device', 'cpu'];

function run(...args: string[]) {
  return spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8', cwd: folder });
}

test('score prints what it did, evaluate the table, both with underscores or hyphens in their flags', () => {
  const scored = run(...SCORE, '--output_file', 'scores.jsonl', '--quiet');
  expect(scored).toMatchObject({ status: 0, stderr: '' });
  expect(scored.stdout).toMatch(/^2560 steps of 640 traces scored, \d+ of them right; .*mean of its steps\noutput/);

  const table = run('evaluate', '--scores', 'scores.jsonl', '--n', '1,4,all', '--resamples', '50', '--subsets', '10');
  expect(table.status).toBe(0);
  expect(table.stdout).toMatch(/^20 questions, 640 traces/);
  const json = run('evaluate', '--scores=scores.jsonl', '--n=1,4', '--resamples=50', '--subsets=10', '--json');
  const evaluation = JSON.parse(json.stdout);
  expect(Object.keys(evaluation.n)).toEqual(['1', '4']);
  const figure = { value: expect.any(Number), ci95: [expect.any(Number), expect.any(Number)] };
  expect(evaluation).toMatchObject({
    n: {
      4: { single: figure, majority: figure, weighted: figure, best_of_n: figure, filtered: figure, oracle: figure },
    },
    auc: { pooled: figure, within_question: figure },
    auc_by_fraction: { 0.25: { pooled: figure, within_question: figure } },
  });
});

test('score --json names the file and the counts', () => {
  const { stdout } = run(...SCORE, '--output-file', 'deep/down/scores.jsonl', '--aggregate', 'last_k', '--json');
  expect(JSON.parse(stdout)).toMatchObject({
    output_file: 'deep/down/scores.jsonl',
    traces: 640,
    steps: 2560,
    aggregate: 'last_k:8',
    regions: 'reasoning',
    repeated: false,
  });
});

test('one step of one trace is named in the singular', async () => {
  mkdirSync(join(folder, 'one'));
  const sample = { questions: 1, tracesPerQuestion: 1, steps: 1, hiddenSize: 2, layers: [3] };
  await writeShard(join(folder, 'one/a.safetensors'), sampleTraces(sample), sample);
  const { stdout } = run('score', '--scorer', 'scorer', '--input-dir', 'one', '--output-file', 'one.jsonl');
  expect(stdout).toMatch(/^1 step of 1 trace scored, /);
});

test('sizes that are no numbers are told how they look', () => {
  const { stderr } = run('evaluate', '--scores', 'scores.jsonl', '--n', '1,x');
  expect(stderr).toBe('error[BAD_OPTION]: it is numbers of traces, as 1,4,16, or all, --n, see --help\n');
});

test('killed in the middle, the same call goes on and writes the same bytes', async () => {
  const script = `
    import { scoreTraces } from ${JSON.stringify(LIBRARY)};
    const options = { scorer: 'scorer', inputDir: 'hs', outputFile: 'killed.jsonl', device: 'cpu' };
    const onProgress = ({ done }) => done > 300 && process.kill(process.pid, 'SIGKILL');
    await scoreTraces({ ...options, onProgress });
  `;
  const killed = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: folder });
  expect(killed.signal).toBe('SIGKILL');
  expect(existsSync(join(folder, 'killed.jsonl'))).toBe(false);
  expect(statSync(join(folder, '.killed.jsonl.partial')).size).toBeGreaterThan(0);

  const done: number[] = [];
  await scoreTraces({
    scorer: join(folder, 'scorer'),
    inputDir: join(folder, 'hs'),
    outputFile: join(folder, 'killed.jsonl'),
    device: 'cpu',
    onProgress: (progress) => done.push(progress.done),
  });
  expect(done[0]).toBeGreaterThan(300);
  expect(run(...SCORE, '--output-file', 'whole.jsonl').status).toBe(0);
  expect(readFileSync(join(folder, 'killed.jsonl'))).toEqual(readFileSync(join(folder, 'whole.jsonl')));
  const left = readdirSync(folder).filter((name) => name.includes('killed'));
  expect(left).toEqual(['.killed.jsonl.score.json', 'killed.jsonl']);
});

test.each([
  ['no scorer', ['score', '--input-dir', 'hs', '--output-file', 'x.jsonl'], 2, 'USAGE'],
  [
    'an aggregation that there is not',
    [...SCORE, '--output-file', 'x.jsonl', '--aggregate', 'median'],
    2,
    'BAD_OPTION',
  ],
  [
    'a scorer that is not there',
    ['score', '--scorer', 'no', '--input-dir', 'hs', '--output-file', 'x'],
    3,
    'FILE_NOT_FOUND',
  ],
  ['a rejects file that is not there', [...SCORE, '--output-file', 'x', '--rejects', 'no'], 3, 'FILE_NOT_FOUND'],
  ['scores that are not there', ['evaluate', '--scores', 'no.jsonl'], 3, 'FILE_NOT_FOUND'],
  [
    'scores that are something else',
    ['evaluate', '--scores', 'scorer/config.json'],
    3,
    'NOT_JSON|SCORED_TRACE_INVALID',
  ],
  ['a size that is no number', ['evaluate', '--scores', 'scores.jsonl', '--n', '1,many'], 2, 'BAD_OPTION'],
])('%s gives one error line with its code and writes nothing', (_, args, exitCode, code) => {
  const { status, stdout, stderr } = run(...args);
  expect(stderr).toMatch(new RegExp(`^error\\[(${code})\\]: .+\n$`));
  expect({ status, stdout }).toEqual({ status: exitCode, stdout: '' });
  expect(existsSync(join(folder, 'x.jsonl'))).toBe(false);
});
