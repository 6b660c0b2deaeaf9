import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { preprocessFiles } from '../preprocess-file.js';
import type { Source } from './sources.js';

const BIN = fileURLToPath(new URL('../../bin/scorer-preprocess.js', import.meta.url));
const DEMO_MODEL = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));
const rowsOf = (source: Source): string => fileURLToPath(new URL(`./fixtures/${source}.jsonl`, import.meta.url));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scorer-convert-'));
});
afterEach(() => rm(folder, { recursive: true }));

function cli(...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const all = [BIN, 'convert', '--output_file', 'out', '--tokenizer_path', DEMO_MODEL, '--json', ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, all, { cwd: folder }, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
  });
}

describe('scorer-preprocess convert', () => {
  it('writes records and rejects, and repeats its result', async () => {
    const args = ['--from', 'trl', '--input_file', rowsOf('trl')];
    const first = await cli(...args);
    expect(first.code).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({
      traces_in: 4,
      traces_out: 2,
      rejects: { LABELS_DISAGREE: 1, EMPTY_STEP: 1 },
      correct: 1,
      files: [{ output_file: 'out/trl.jsonl', step_labels: { right: 4, wrong: 2, none: 0 } }],
    });
    expect((await readdir(join(folder, 'out'))).filter((name) => !name.startsWith('.'))).toEqual([
      'trl.jsonl',
      'trl.rejects.jsonl',
    ]);
    const rejects = (await readFile(join(folder, 'out/trl.rejects.jsonl'), 'utf8')).trimEnd().split('\n');
    const [third] = (await readFile(rowsOf('trl'), 'utf8')).split('\n').slice(2);
    expect(JSON.parse(rejects[0]!)).toEqual({
      line: 3,
      code: 'LABELS_DISAGREE',
      reason: '2 labels for 1 completions',
      raw: third,
    });

    const again = await cli(...args);
    expect(again).toMatchObject({ code: 0, stdout: first.stdout, stderr: expect.stringContaining('already finished') });
    const other = await cli(...args, '--prefix', '<think>\\n');
    expect(other).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/^error\[OUTPUT_EXISTS\]: .*another prefix/m),
    });
  });

  it('says so where no line is a row of the data set', async () => {
    const { code, stderr } = await cli('--from', 'prm800k', '--input_file', rowsOf('trl'));
    expect(code).toBe(3);
    expect(stderr).toMatch(/error\[NO_USABLE_LINE\]: .*MISSING_FIELD, question is missing.*prm800k/);
    expect(await cli('--from', 'gsm', '--input_file', rowsOf('trl'))).toMatchObject({ code: 2 });
  });
});

it('the records of rows that hold several solutions are the same for any number of threads', async () => {
  const rows = await readFile(rowsOf('prm800k'), 'utf8');
  await writeFile(join(folder, 'prm.jsonl'), rows.repeat(200));
  const made: string[] = [];
  for (const workers of ['1', '2']) {
    const { stdout } = await cli('--from', 'prm800k', '--input_file', 'prm.jsonl', '--workers', workers, '--overwrite');
    const rejects = { NO_STEP_LABEL: 200 };
    expect(JSON.parse(stdout)).toMatchObject({ traces_in: 1800, traces_out: 1600, rejects });
    made.push(await readFile(join(folder, 'out/prm.jsonl'), 'utf8'));
  }
  expect(made[1]).toBe(made[0]);
});

it('no field of a record is replaced by one that is kept', async () => {
  const options = { inputFiles: [rowsOf('trl')], outputDir: folder, tokenizerPath: DEMO_MODEL, keep: ['step_labels'] };
  await expect(preprocessFiles({ ...options, convert: { from: 'trl' } })).rejects.toMatchObject({
    code: 'FIELD_TAKEN',
  });
});
