import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { f16ToF32 } from '@scorer/core/safetensors';
import { openShard } from '@scorer/core/shards';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';

const BIN = fileURLToPath(new URL('../bin/scorer-hidden-states.js', import.meta.url));
const MODEL = fileURLToPath(new URL('../../../apps/demo/data/model', import.meta.url));
const STEPS = fileURLToPath(new URL('./run/fixtures/steps.jsonl', import.meta.url));

/** A file that is named .onnx and something else. */
const NO_ONNX = join(tmpdir(), `none-${process.pid}.onnx`);
writeFileSync(NO_ONNX, 'none');
afterAll(() => rmSync(NO_ONNX));

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

test('extraction prints its result on stdout, and on stderr the memory it needs and progress in traces and tokens', () => {
  const { status, stdout, stderr } = extract({ more: ['--end_idx', '3'] });
  expect(status).toBe(0);
  expect(stdout).toMatch(/^3 traces, 26 steps; /);
  expect(stderr).toMatch(
    /^memory: about .*\nextracting hidden states: 3\/3 traces, 874\/874 tokens \(\d+ tokens\/s\)\n$/,
  );
  expect(readdirSync(join(folder, 'hs'))).toEqual(['tiny_hiddenstates_0_3.safetensors']);
});

test('with --json extraction prints one JSON object on stdout, and on stderr events, one JSON object a line', () => {
  const { status, stdout, stderr } = extract({ more: ['--json', '--start_idx', '3', '--end_idx', '9'] });
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ traces: 2, failures: 0, layers: [5], device: 'cpu' });
  const events = stderr
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(events.map(({ event }) => event)).toEqual([
    ...['warning', 'note', 'started', 'trace_done', 'trace_done', 'progress', 'shard_sealed', 'finished'],
  ]);
});

test('with --json an error is its one line of text all the same', () => {
  const { status, stdout, stderr } = extract({ more: ['--json', '--layers', '9'] });
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^error\[BAD_LAYERS\]: [^\n]+\n$/);
});

test('--confidence is of the model, of the records with field, and of nothing else', async () => {
  const first = ['--end-idx', '1', '--quiet'];
  expect(extract({ more: ['--confidence', '--confidence-top-k', '7', '--layers', '0', ...first] }).status).toBe(0);
  const shard = await openShard(join(folder, 'hs', 'tiny_hiddenstates_0_1.safetensors'));
  expect([shard.layers, shard.confidenceTopK]).toEqual([[0], 7]);
  await shard.close();
  const without = extract({ more: ['--confidence=field', '--overwrite', ...first] });
  expect([without.status, without.stderr]).toEqual([3, expect.stringContaining('[LOGPROBS_MISSING]')]);
  const wrong = extract({ more: ['--confidence=yes', ...first] });
  expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringMatching(/^error\[BAD_OPTION\]: .*--confidence/)]);
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
  ['an .onnx file that does not exist', { model: 'decoder.onnx' }, 3, 'FILE_NOT_FOUND'],
  ['an .onnx file that is none', { model: NO_ONNX }, 3, 'ONNX_INVALID'],
  ['an empty range', { more: ['--start-idx', '99'] }, 3, 'EMPTY_RANGE'],
  ['an unknown flag', { more: ['--layer', 'last'] }, 2, 'USAGE'],
  ['a layer that the model lacks', { more: ['--layers', '6'] }, 2, 'BAD_LAYERS'],
  ['a part out of range', { more: ['--shard', '2/2'] }, 2, 'BAD_OPTION'],
  ['a dtype that the device lacks', { more: ['--dtype', 'bf16'] }, 2, 'BAD_DTYPE'],
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
    cpu_memory: { model: expect.any(Number), per_token: expect.any(Number), per_token_pair: 0 },
  });
  const withExperts = fileURLToPath(new URL('./run/fixtures/architectures/qwen3-moe-dense-between', import.meta.url));
  expect(JSON.parse(run('inspect', '--model-name', withExperts, '--json').stdout)).toMatchObject({
    experts: 6,
    experts_a_token: 3,
    expert_layers: 2,
  });
  const exported = run('export', '--model-name', MODEL, '--output-file', join(folder, 'x.onnx'), '--self-contained');
  expect(exported.stdout.trim().split('\n').at(-1)).toBe(join(folder, 'x.onnx'));
  expect(JSON.parse(run('doctor', '--json').stdout)).toMatchObject({ devices: { cpu: { works: true } } });
});

test('an exported .onnx file is inspected and extracted from like the folder that it was made from', async () => {
  const model = join(folder, 'model');
  cpSync(MODEL, model, { recursive: true });
  const file = join(model, 'x.onnx');
  run('export', '--model-name', model, '--output-file', file, '--layers', '2,-1');
  const shown = JSON.parse(run('inspect', '--model-name', file, '--json').stdout);
  expect(shown).toMatchObject({
    layers: 5,
    hidden_size: 192,
    inputs: [
      { name: 'input_ids', fed: 'tokens' },
      { name: 'positions', fed: 'wanted positions' },
    ],
    outputs: [
      { name: 'hidden_states.2', layer: 2 },
      { name: 'hidden_states.5', layer: 5 },
    ],
    layers_output: [2, 5],
    layers_missing: [0, 1, 3, 4],
  });

  expect(extract({ model: file }).status).toBe(0);
  const [name] = visibleFiles(join(folder, 'hs'));
  const fromFile = await openShard(join(folder, 'hs', name!));
  expect(fromFile.metadata).toMatchObject({ model: 'model/x.onnx', dtype: 'float32' });
  expect(extract({ model, more: ['--overwrite'] }).status).toBe(0);
  const fromFolder = await openShard(join(folder, 'hs', name!));
  const rows = [fromFile, fromFolder].map((shard) => shard.readRows(5, 0, shard.stepCount));
  const [ours, theirs] = (await Promise.all(rows)).map((bytes) => {
    const values = new Float32Array(bytes.length / 2);
    f16ToF32(new Uint16Array(bytes.slice().buffer), values);
    return values;
  });
  expect(ours!.length).toBe(theirs!.length);
  // The file runs a trace as a whole, the folder its prompt first: a value may round to the neighbouring float16.
  const isNear = (value: number, other: number): boolean =>
    Math.abs(value - other) <= 1e-3 * Math.max(1, Math.abs(other));
  expect(ours!.every((value, i) => isNear(value, theirs![i]!))).toBe(true);
  await Promise.all([fromFile.close(), fromFolder.close()]);
});
