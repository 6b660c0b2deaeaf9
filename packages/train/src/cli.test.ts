import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { sampleTraces, writeShard } from './sample-shards.test.support.js';

const BIN = fileURLToPath(new URL('../bin/scorer-train.js', import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cli-'));
  mkdirSync(join(folder, 'hs'));
  mkdirSync(join(folder, 'empty'));
  const sample = { questions: 8, tracesPerQuestion: 6, steps: 5, hiddenSize: 8, layers: [4] };
  await writeShard(join(folder, 'hs/a_hiddenstates_0_48.safetensors'), sampleTraces(sample), sample);
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(...args: string[]) {
  return spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8', cwd: folder });
}

const QUICK = ['--epochs', '2', '--hidden-units', '8', '--device', 'cpu'];

test('--json prints one object with the figures and paths relative to where it was called', () => {
  const { status, stdout, stderr } = run('--train_dir', 'hs/', '--config_name', 'json', '--json', ...QUICK);
  expect(status).toBe(0);
  const result = JSON.parse(stdout);
  expect(Object.keys(result)).toEqual(
    expect.arrayContaining(['auc', 'accuracy', 'f1', 'precision', 'recall', 'best_epoch', 'checkpoint']),
  );
  expect(result.checkpoint).toMatch(/^checkpoints\/json\/checkpoint_epoch\d_auc\d\.\d{4}_f1\d\.\d{4}\.safetensors$/);
  expect(existsSync(join(folder, result.checkpoint))).toBe(true);
  expect(readdirSync(join(folder, 'plots/json'))).toContain('report.html');
  expect(stderr).toMatch(/epoch 2: loss \d/);
});

test('without it prints the table, and says that the split of the original leaks', () => {
  const first = run('train', '--train-dir=hs', '--config-name=table', '--compat', 'original', '--quiet', ...QUICK);
  expect(first.stderr).toBe('');
  expect(first.stdout).toMatch(
    /^AUC +0\.\d{4}\naccuracy +0\.\d{4}\nF1 +\d\.\d{4}\nprecision +\d\.\d{4}\nrecall +\d\.\d{4}\nbest epoch +\d of 2$/m,
  );
  expect(first.stdout).toContain('split by step');
  expect(first.stdout).toContain('this split leaks: 8 of 8 validation questions are also trained on');

  const second = run('train', '--train-dir=hs', '--config-name=table', '--compat', 'original', '--quiet', ...QUICK);
  expect(second.stdout).toBe(`${first.stdout}this run had been finished before; --overwrite trains again\n`);
});

test('--print-config prints a file for --config, which flags override', () => {
  const file = join(folder, 'options.json');
  const printed = run(
    '--train-dir',
    'hs',
    '--hidden-units',
    '16,8',
    '--memory',
    '2G',
    '--epochs',
    '7',
    '--print-config',
  );
  expect(printed.status, printed.stderr).toBe(0);
  writeFileSync(file, printed.stdout);
  const again = run('--config', file, '--epochs', '3', '--print-config', '--json');
  expect(JSON.parse(again.stdout)).toEqual({ ...JSON.parse(printed.stdout), epochs: 3 });
  expect(JSON.parse(printed.stdout)).toMatchObject({ hidden_units: [16, 8], memory: 2e9, loss: 'bce', lr: 1e-4 });

  writeFileSync(file, '{"train_dir": "hs", "momentum": 1}');
  const { status, stderr } = run('--config', file);
  expect([status, stderr]).toEqual([
    3,
    expect.stringMatching(/^error\[CONFIG_INVALID\]: momentum is no option of training/),
  ]);
});

test('--print-config needs no shards: their folder is given beside the file', () => {
  const { status, stdout } = run('--epochs', '3', '--print-config');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ epochs: 3, lr: 1e-4 });
  expect(JSON.parse(stdout)).not.toHaveProperty('train_dir');
  writeFileSync(join(folder, 'no-shards.json'), stdout);
  const again = run('--config', 'no-shards.json', '--train-dir', 'hs', '--print-config', '--json');
  expect(JSON.parse(again.stdout)).toEqual({ ...JSON.parse(stdout), train_dir: 'hs' });
});

test('a memory that is no number of bytes is told how one looks', () => {
  const { stderr } = run('--train-dir', 'hs', '--memory', 'lots');
  expect(stderr).toBe('error[BAD_OPTION]: it is bytes, as in 512M, 2G or 1.5GiB, --memory, see --help\n');
});

test('Ctrl-C stops it with code 130, and the same command goes on from there', async () => {
  const args = [
    '--train-dir',
    'hs',
    '--config-name',
    'stopped',
    '--device',
    'cpu',
    '--epochs',
    '60',
    '--patience',
    '60',
  ];
  const child = spawn(process.execPath, [BIN, ...args], { cwd: folder });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    // Once: a second one would end the process without a clean stop.
    if (!child.killed && stderr.includes('epoch 2:')) child.kill('SIGINT');
  });
  const [exitCode] = await once(child, 'close');
  expect(exitCode).toBe(130);
  expect(stderr).toMatch(/\nstopped; the same command run again goes on from here\n$/);

  const again = run(...args);
  expect(again.status).toBe(0);
  expect(again.stderr).not.toContain('epoch 2:');
  expect(again.stdout).toMatch(/best epoch +\d+ of 60/);
});

test.each([
  ['an empty training folder', ['--train-dir', 'empty'], 3, 'NO_SHARDS'],
  ['no training folder', ['--train-dir', 'nowhere'], 3, 'FILE_NOT_FOUND'],
  ['no --train-dir', [], 2, 'BAD_OPTION'],
  ['a file of options that is none', ['--config', 'hs'], 3, 'IS_A_FOLDER'],
  ['a path as the name', ['--train-dir', 'hs', '--config-name', '../x'], 2, 'BAD_OPTION'],
  ['a ratio above 1', ['--train-dir', 'hs', '--step-sample-ratio', '1.5'], 2, 'BAD_OPTION'],
  ['a learning rate that is no number', ['--train-dir', 'hs', '--lr', 'fast'], 2, 'BAD_OPTION'],
  [
    'a layer that is not kept',
    ['--train-dir', 'hs', '--feature', 'certain_layer', '--layer', '3'],
    2,
    'LAYER_NOT_KEPT',
  ],
  ['hidden units that are no widths', ['--train-dir', 'hs', '--hidden-units', '256,,64'], 2, 'BAD_OPTION'],
  ['a memory without a unit that there is', ['--train-dir', 'hs', '--memory', '2X'], 2, 'BAD_OPTION'],
  ['a memory of less than a few batches', ['--train-dir', 'hs', '--memory', '2K'], 2, 'MEMORY_TOO_SMALL'],
  [
    'dropout without a hidden layer',
    ['--train-dir', 'hs', '--hidden-units', 'none', '--dropout', '0.5'],
    2,
    'BAD_OPTION',
  ],
  ['one fold', ['--train-dir', 'hs', '--folds', '1'], 2, 'BAD_OPTION'],
  ['labels that are not there', ['--train-dir', 'hs', '--labels', 'labels.jsonl'], 3, 'FILE_NOT_FOUND'],
  ['a sweep of a layer that is not kept', ['sweep', '--train-dir', 'hs', '--layers', '3'], 2, 'LAYER_NOT_KEPT'],
  ['an unknown flag', ['--train-dir', 'hs', '--momentum', '1'], 2, 'USAGE'],
])('%s gives one error line with its code and writes nothing', (_, args, exitCode, code) => {
  const { status, stdout, stderr } = run(...args, '--out-dir', 'none');
  expect(stderr).toMatch(new RegExp(`^error\\[${code}\\]: .+\n$`));
  expect(status).toBe(exitCode);
  expect(stdout).toBe('');
  expect(existsSync(join(folder, 'none'))).toBe(false);
});
