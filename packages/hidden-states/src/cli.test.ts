import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const BIN = fileURLToPath(new URL('../bin/scorer-hidden-states.js', import.meta.url));
const MODEL = fileURLToPath(new URL('../../../apps/demo/data/model', import.meta.url));
const STEPS = fileURLToPath(new URL('./run/fixtures/steps.jsonl', import.meta.url));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8' });
}

function extract({ model = MODEL, input = STEPS, more = [] as string[] }): ReturnType<typeof run> {
  const output = join(folder, 'hs', 'tiny');
  return run('--model_name', model, '--input_path', input, '--output_path', output, '--device', 'cpu', ...more);
}

test('extraction prints one JSON object on stdout and progress on stderr', () => {
  const { status, stdout, stderr } = extract({ more: ['--json', '--end_idx', '3'] });
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ traces: 3, failures: 0, layers: [5], device: 'cpu' });
  expect(stderr).toContain('extracting hidden states: 3/3 traces');
  expect(readdirSync(join(folder, 'hs'))).toEqual(['tiny_hiddenstates_0_3.safetensors']);
});

test('a range past the end is clamped with a warning', () => {
  const { status, stderr } = extract({ more: ['--start-idx=3', '--end-idx=1000', '--quiet'] });
  expect(status).toBe(0);
  expect(stderr).toMatch(/^warning: --end-idx 1000 is past the end of the file: 5 is used\n$/);
  expect(readdirSync(join(folder, 'hs'))).toEqual(['tiny_hiddenstates_3_5.safetensors']);
});

test.each([
  ['a model folder that does not exist', { model: 'no-such-model' }, 3, 'MODEL_NOT_FOUND'],
  ['an input file that does not exist', { input: 'no-such-file.jsonl' }, 3, 'FILE_NOT_FOUND'],
  ['an input that holds no step records', { input: BIN }, 3, 'TOO_MANY_FAILURES'],
  ['an .onnx file as the model', { model: 'decoder.onnx' }, 2, 'ONNX_INPUT_UNSUPPORTED'],
  ['an empty range', { more: ['--start-idx', '99'] }, 3, 'EMPTY_RANGE'],
  ['an unknown flag', { more: ['--layer', 'last'] }, 2, 'USAGE'],
  ['a layer that the model lacks', { more: ['--layers', '6'] }, 2, 'BAD_LAYERS'],
  ['a part out of range', { more: ['--shard', '2/2'] }, 2, 'BAD_OPTION'],
  ['a dtype that the device lacks', { more: ['--dtype', 'bfloat16'] }, 2, 'BAD_DTYPE'],
])('%s gives one error line with its code and leaves nothing visible', (_, options, exitCode, code) => {
  const { status, stdout, stderr } = extract(options);
  expect(stderr.split('\n').filter((line) => line.startsWith('error'))).toEqual([
    expect.stringMatching(new RegExp(`^error\\[${code}\\]: .+`)),
  ]);
  expect(status).toBe(exitCode);
  expect(stdout).toBe('');
  expect(visibleFiles(join(folder, 'hs'))).toEqual([]);
});

function visibleFiles(path: string): string[] {
  return existsSync(path) ? readdirSync(path).filter((name) => !name.startsWith('.')) : [];
}

test('an architecture that is not supported is named, with those that are', () => {
  const model = join(folder, 'mamba');
  cpSync(MODEL, model, { recursive: true });
  const config = JSON.parse(readFileSync(join(model, 'config.json'), 'utf8'));
  writeFileSync(join(model, 'config.json'), JSON.stringify({ ...config, architectures: ['MambaForCausalLM'] }));
  const { status, stderr } = extract({ model });
  expect(stderr).toMatch(/^error\[UNSUPPORTED_ARCHITECTURE\]: architecture MambaForCausalLM .*Qwen3ForCausalLM/);
  expect(status).toBe(3);
});

test('inspect shows what a model offers, export writes it, doctor tells which devices work', () => {
  expect(JSON.parse(run('inspect', '--model-name', MODEL, '--json').stdout)).toMatchObject({
    architecture: 'Qwen3ForCausalLM',
    layers: 5,
    hidden_size: 192,
  });
  const exported = run('export', '--model-name', MODEL, '--output-file', join(folder, 'x.onnx'), '--self-contained');
  expect(exported.stdout.trim().split('\n').at(-1)).toBe(join(folder, 'x.onnx'));
  expect(JSON.parse(run('doctor', '--json').stdout)).toMatchObject({ devices: { cpu: { works: true } } });
});
