import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openSafetensors, type TensorWithData, toFloat32, writeSafetensors } from '@scorer/core/safetensors';
import { openShard, type TraceStates, verifyShard } from '@scorer/core/shards';
import {
  encodeTorch,
  openTorch,
  type TorchInput,
  TorchTensor,
  type TorchTensorData,
  TorchText,
  type TorchValue,
} from '@scorer/core/torch';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { extract } from '../run/extract.js';
import { type ImportOptions, importStates } from './import-states.js';
import { createTokenIndex } from './token-index.js';
import { waitForWriter } from './writer-lock.js';

const MODEL = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));
const RECORDS = fileURLToPath(new URL('../run/fixtures/steps.jsonl', import.meta.url));
const FIXTURES = fileURLToPath(new URL('./fixtures/', import.meta.url));
const TORCH = fileURLToPath(new URL('../../../core/src/torch/fixtures/', import.meta.url));
const LAST = 5;
/** Records 1, 3 and 4 are the same text, and vLLM was asked for the first two of the five. */
const VLLM_TRACES = [0, 1, 3, 4];
const ALL_MAY_FAIL = { share: 1 };

let folder: string;
let step: ImportOptions;
let vllm: ImportOptions;
/** What `extract` makes of the same records, layers 2 and 5, float32. */
let own: TraceStates[];

beforeAll(async () => {
  const work = await mkdtemp(join(tmpdir(), 'import-own-'));
  const options = { model: MODEL, inputPath: RECORDS, outputPath: join(work, 'own'), device: 'cpu' } as const;
  const { shards } = await extract({ ...options, layers: '2,5', storage: 'F32' });
  own = await traces(shards[0]!.path);
  await rm(work, { recursive: true });
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'import-'));
  await cp(FIXTURES, folder, { recursive: true });
  const shared = { model: MODEL, inputPath: RECORDS, outputPath: join(folder, 'hs/all') };
  step = { ...shared, from: 'step', source: join(folder, 'step') };
  vllm = { ...shared, from: 'vllm', source: join(folder, 'vllm'), layers: '2,5', maxFailures: ALL_MAY_FAIL };
});

afterEach(() => rm(folder, { recursive: true }));

async function traces(path: string): Promise<TraceStates[]> {
  await verifyShard(path);
  const shard = await openShard(path);
  const all: TraceStates[] = [];
  for (let i = 0; i < shard.traceCount; i++) all.push(await shard.readTrace(i));
  await shard.close();
  return all;
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!) / Math.max(1, Math.abs(value))), 0);
}

async function failures(options: ImportOptions): Promise<{ trace_index: number; code: string; reason: string }[]> {
  const { shards } = await importStates({ ...options, maxFailures: ALL_MAY_FAIL, overwrite: 'replace' });
  const path = `${shards[0]!.path}.failures.json`;
  return existsSync(path) ? JSON.parse(await readFile(path, 'utf8')) : [];
}

describe("the original's .pt files (tools/oracles/exchange.py)", () => {
  const FILE = 'steps_hiddenstates_0_5.pt';

  test('become shards equal to ours up to float16', async () => {
    const { shards, layers } = await importStates(step);
    expect(layers).toEqual([LAST]);
    const imported = await traces(shards[0]!.path);
    expect(imported).toHaveLength(own.length);
    for (const [i, { hiddenStates, ...rest }] of imported.entries()) {
      const { hiddenStates: expected, ...same } = own[i]!;
      expect(rest).toEqual(same);
      const [theirs, ours] = [toFloat32('F16', hiddenStates.get(LAST)!), toFloat32('F32', expected.get(LAST)!)];
      expect(largestDifference(theirs, ours)).toBeLessThan(1e-3);
    }
  });

  test('have the confidence of tokens that an engine put into the records', async () => {
    const source = {
      model: MODEL,
      inputPath: RECORDS,
      outputPath: join(folder, 'hs/computed'),
      device: 'cpu',
    } as const;
    const computed = await traces((await extract({ ...source, confidence: {} })).shards[0]!.path);
    const records = (await readFile(RECORDS, 'utf8')).trim().split('\n');
    const lines = records.map((line, i) => {
      const { inputIds, confidence } = computed[i]!;
      const logprobs = {
        top_k: 20,
        token_ids: [...inputIds.slice(-confidence!.logprobs.length)],
        token_logprobs: [...confidence!.logprobs],
        token_confidences: [...confidence!.confidences],
      };
      return `${JSON.stringify({ ...JSON.parse(line), logprobs })}\n`;
    });
    const inputPath = join(folder, 'records.jsonl');
    await writeFile(inputPath, lines.join(''));
    const { shards } = await importStates({ ...step, inputPath, confidence: {} });
    const imported = await traces(shards[0]!.path);
    expect(imported.map(({ confidence }) => confidence)).toEqual(computed.map(({ confidence }) => confidence));
    const shard = await openShard(shards[0]!.path);
    await shard.close();
    expect(shard.metadata.confidence_from).toBe('field');
    await expect(importStates({ ...step, inputPath })).rejects.toMatchObject({ code: 'OUTPUT_DIFFERS' });
  });

  test('are read with several layers in each trace, and without a range in the name', async () => {
    const entries = await plainEntries();
    for (const entry of entries) {
      const { shape, data } = entry.select_hidden_states as TorchTensorData & { data: Uint8Array };
      const zeros = new Uint8Array(data.length);
      entry.select_hidden_states = { dtype: 'F16', shape: [2, ...shape], data: Buffer.concat([zeros, data]) };
    }
    const source = join(folder, 'list.pt');
    await writeFile(source, encodeTorch(entries));
    const both = await importStates({ ...step, source, layers: '2,-1' });
    const one = await importStates({ ...step, outputPath: join(folder, 'hs/one') });
    const [a, b] = [await traces(both.shards[0]!.path), await traces(one.shards[0]!.path)];
    expect(a.map(({ hiddenStates }) => hiddenStates.get(LAST))).toEqual(
      b.map(({ hiddenStates }) => hiddenStates.get(LAST)),
    );
    expect(a[0]!.hiddenStates.get(2)!.every((byte) => byte === 0)).toBe(true);
  });

  test.each<[string, string, (entries: Record<string, TorchInput>[]) => TorchInput]>([
    [
      'other tokens',
      'TOKENS_DIFFER',
      ([first, ...rest]) => {
        const data = BigInt64Array.from(first!.full_input_ids as unknown as bigint[]);
        return [
          { ...first, full_input_ids: { dtype: 'I64', shape: [data.length], data: data.fill(7n, 3, 4) } },
          ...rest,
        ];
      },
    ],
    ['fewer steps', 'STEPS_DIFFER', ([first, ...rest]) => [{ ...first, select_hidden_states: half(13, 192) }, ...rest]],
    [
      'another hidden size',
      'HIDDEN_SIZE_DIFFERS',
      ([first, ...rest]) => [{ ...first, select_hidden_states: half(14, 64) }, ...rest],
    ],
    [
      'more layers',
      'LAYERS_DIFFER',
      ([first, ...rest]) => [{ ...first, select_hidden_states: half(2, 14, 192) }, ...rest],
    ],
    [
      'another shape',
      'SOURCE_INVALID',
      ([first, ...rest]) => [{ ...first, select_hidden_states: half(14 * 192) }, ...rest],
    ],
    [
      'integers for states',
      'SOURCE_DTYPE',
      ([first, ...rest]) => [
        { ...first, select_hidden_states: { dtype: 'I16', shape: [14, 192], data: new Int16Array(14 * 192) } },
        ...rest,
      ],
    ],
    [
      'another type than the rest',
      'SOURCE_DTYPE',
      ([first, second, ...rest]) => [
        first!,
        { ...second, select_hidden_states: { dtype: 'F32', shape: [6, 192], data: new Float32Array(6 * 192) } },
        ...rest,
      ],
    ],
    [
      'a value that is not finite',
      'NOT_FINITE',
      ([first, ...rest]) => [{ ...first, select_hidden_states: half(14, 192, Number.NaN) }, ...rest],
    ],
    ['no states', 'SOURCE_INVALID', ([{ select_hidden_states: _, ...first } = {}, ...rest]) => [first, ...rest]],
    ['a trace less at the end', 'SOURCE_MISSING', (entries) => entries.slice(0, 4)],
    ['no list', 'SOURCE_INVALID', () => ({})],
  ])('with %s are named with a code, and the other traces are kept', async (_, code, damage) => {
    const entries = (await plainEntries()).map((entry) => ({ ...entry, full_input_ids: entry.full_input_ids! }));
    await writeFile(join(step.source, FILE), encodeTorch(damage(entries.map((entry) => ({ ...entry })))));
    const failed = await failures(step);
    expect(failed.length).toBe(Array.isArray(damage(entries)) ? 1 : 5);
    expect(failed[0]).toMatchObject({ code, reason: expect.stringContaining(FILE) });
    expect(failed[0]!.reason).not.toContain(folder);
  });

  test.each([
    ['a malicious pickle', 'bad_system.pt', 'TORCH_FORBIDDEN'],
    ['a legacy file', 'bad_legacy.pt', 'TORCH_LEGACY_FORMAT'],
  ])('are refused with nothing executed for %s', async (_, name, code) => {
    await copyFile(join(TORCH, name), join(step.source, FILE));
    const failed = await failures(step);
    expect(failed.map((failure) => failure.code)).toEqual(Array(5).fill(code));
    expect(failed[0]!.reason).toContain(FILE);
    expect(existsSync('executed')).toBe(false);
    await expect(importStates({ ...step, overwrite: 'replace' })).rejects.toMatchObject({ code: 'TOO_MANY_FAILURES' });
  });

  test('are refused where they were cut', async () => {
    const path = join(step.source, FILE);
    await writeFile(path, (await readFile(path)).subarray(0, -100));
    expect((await failures(step))[0]).toMatchObject({ code: 'TORCH_ZIP_INVALID' });
  });

  async function plainEntries(): Promise<Record<string, TorchInput>[]> {
    const file = await openTorch(join(step.source, FILE));
    const plain = async (value: TorchValue): Promise<TorchInput> => {
      if (value instanceof TorchText) return file.readText(value);
      if (value instanceof TorchTensor) return { dtype: value.dtype, shape: value.shape, data: await file.read(value) };
      return value as TorchInput;
    };
    const entries: Record<string, TorchInput>[] = [];
    for (const entry of file.value as Map<string, TorchValue>[]) {
      const record: Record<string, TorchInput> = {};
      for (const [key, value] of entry) record[key] = await plain(value);
      entries.push(record);
    }
    await file.close();
    return entries;
  }

  function half(...shape: number[]): TorchInput {
    // A last value that is no number fills the tensor with it.
    const isFilled = Number.isNaN(shape.at(-1));
    const real = isFilled ? shape.slice(0, -1) : shape;
    const data = new Uint16Array(real.reduce((a, b) => a * b, 1)).fill(isFilled ? 0x7e00 : 0);
    return { dtype: 'F16', shape: real, data };
  }
});

describe("vLLM's files (tools/oracles/exchange.py)", () => {
  const NAMES = ['cmpl-00000f-0.safetensors', 'cmpl-07919f-0.safetensors'] as const;

  test('become shards equal to ours up to float16: layers by name, the final norm applied to the last', async () => {
    const { shards, traces: count, dtype } = await importStates(vllm);
    expect({ count, dtype }).toEqual({ count: 4, dtype: 'float16' });
    const imported = await traces(shards[0]!.path);
    expect(imported.map(({ traceIndex }) => traceIndex)).toEqual(VLLM_TRACES);
    for (const { hiddenStates, traceIndex, ...rest } of imported) {
      const { hiddenStates: expected, ...same } = own[traceIndex]!;
      expect({ traceIndex, ...rest }).toEqual(same);
      for (const layer of [2, LAST]) {
        const [theirs, ours] = [toFloat32('F16', hiddenStates.get(layer)!), toFloat32('F32', expected.get(layer)!)];
        expect(largestDifference(theirs, ours), `layer ${layer}`).toBeLessThan(2e-3);
      }
    }
    const failed = JSON.parse(await readFile(`${shards[0]!.path}.failures.json`, 'utf8'));
    expect(failed).toMatchObject([{ trace_index: 2, code: 'SOURCE_MISSING' }]);
  });

  test('keep the last layer as it is where the norm is said to be applied', async () => {
    const applied = await importStates(vllm);
    const kept = await importStates({ ...vllm, finalNorm: 'keep', outputPath: join(folder, 'hs/kept') });
    const [a, b] = [await traces(applied.shards[0]!.path), await traces(kept.shards[0]!.path)];
    expect(b[0]!.hiddenStates.get(2)).toEqual(a[0]!.hiddenStates.get(2));
    expect(b[0]!.hiddenStates.get(LAST)).not.toEqual(a[0]!.hiddenStates.get(LAST));
  });

  test('are found by their tokens, with more behind them or without the last one', async () => {
    const whole = (await importStates(vllm)).shards[0]!.path;
    await edit(NAMES[1], ({ tokens, states, rows, layers }) => ({
      tokens: [...tokens, 5, 6, 7],
      states: Buffer.concat([states, states.subarray(0, (3 * states.length) / rows)]),
      rows: rows + 3,
      layers,
    }));
    await edit(NAMES[0], ({ tokens, states, rows, layers }) => ({
      tokens: tokens.slice(0, -1),
      states: states.subarray(0, states.length - states.length / rows),
      rows: rows - 1,
      layers,
    }));
    const other = (await importStates({ ...vllm, outputPath: join(folder, 'hs/other') })).shards[0]!.path;
    expect(await readFile(other)).toEqual(await readFile(whole));
  });

  test.each<[string, string, (file: VllmFile) => Partial<VllmFile>]>([
    ['another token', 'TOKENS_DIFFER', ({ tokens }) => ({ tokens: tokens.with(180, 3) })],
    ['a token less than states', 'LENGTHS_DIFFER', ({ tokens }) => ({ tokens: tokens.slice(0, -1) })],
    [
      'tokens and states cut short',
      'TOKENS_DIFFER',
      ({ tokens, states, rows }) => ({
        tokens: tokens.slice(0, 200),
        states: states.subarray(0, (200 * states.length) / rows),
        rows: 200,
      }),
    ],
    [
      'a layer more',
      'LAYERS_DIFFER',
      ({ states, layers }) => ({
        states: Buffer.concat([states, states.subarray(states.length / 2)]),
        layers: layers + 1,
      }),
    ],
    ['states that are not finite', 'NOT_FINITE', ({ states }) => ({ states: Buffer.alloc(states.length, 0x7e) })],
    ['states of another type', 'SOURCE_DTYPE', () => ({ dtype: 'BF16' })],
    ['integers for states', 'SOURCE_DTYPE', () => ({ dtype: 'I16' })],
    ['token ids of another shape', 'SOURCE_MISSING', ({ tokens }) => ({ tokenShape: [1, tokens.length] })],
  ])('with %s are named with a code, and the other traces are kept', async (_, code, damage) => {
    await rm(join(vllm.source, NAMES[0]));
    await importStates({ ...vllm, outputPath: join(folder, 'hs/before') });
    await cp(join(FIXTURES, 'vllm', NAMES[0]), join(vllm.source, NAMES[0]));
    await edit(NAMES[1], (file) => ({ ...file, ...damage(file) }));
    const failed = await failures(vllm);
    const about = failed.filter(({ trace_index }) => trace_index === 1);
    expect(about).toMatchObject([{ code, reason: expect.stringContaining(NAMES[1]) }]);
    expect(about[0]!.reason).not.toContain(folder);
    expect(failed.some(({ trace_index }) => trace_index === 0)).toBe(false);
  });

  test('that were cut are named', async () => {
    const path = join(vllm.source, NAMES[1]);
    await writeFile(path, (await readFile(path)).subarray(0, -100));
    const about = (await failures(vllm)).find(({ trace_index }) => trace_index === 1);
    expect(about?.reason).toContain(`${NAMES[1]} [SAFETENSORS_TRUNCATED]`);
  });

  test('with a number in their name are named by it when their tokens are those of no trace', async () => {
    await cp(join(vllm.source, NAMES[1]), join(vllm.source, 'hs_2.safetensors'));
    const about = (await failures(vllm)).find(({ trace_index }) => trace_index === 2);
    expect(about).toMatchObject({ code: 'TOKENS_DIFFER', reason: expect.stringContaining('hs_2.safetensors') });
  });

  test('are deleted as their traces are done, with their locks; what failed stays, and the same command goes on', async () => {
    const whole = (await importStates({ ...vllm, outputPath: join(folder, 'hs/whole') })).shards[0]!.path;
    for (const copy of ['b', 'c']) await cp(join(vllm.source, NAMES[1]), join(vllm.source, `${copy}.safetensors`));
    await writeFile(join(vllm.source, `${NAMES[1]}.lock`), '');
    const stop = new AbortController();
    const onProgress = ({ done }: { done: number }): void => {
      if (done === 2) stop.abort();
    };
    const deleting: ImportOptions = { ...vllm, afterwards: 'delete' };
    await expect(importStates({ ...deleting, onProgress, signal: stop.signal })).rejects.toThrow(/abort/i);
    expect((await readdir(vllm.source)).length).toBe(3);
    const { shards } = await importStates({ ...deleting, compute: 'float16' });
    expect(await readFile(shards[0]!.path)).toEqual(await readFile(whole));
    expect(await readdir(vllm.source)).toEqual([]);
  });

  test.skipIf(!existsSync('/usr/bin/flock') || !existsSync('/proc/locks'))(
    'are waited for while vLLM holds their lock (skipped without flock and /proc/locks)',
    async () => {
      const path = join(vllm.source, NAMES[0]);
      await writeFile(`${path}.lock`, '');
      await waitForWriter(path, { patienceMs: 0 });
      const holder = spawn('/usr/bin/flock', ['-x', `${path}.lock`, 'cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
      holder.stdin.write('held\n');
      await new Promise((resolve) => holder.stdout.once('data', resolve));
      await expect(waitForWriter(path, { patienceMs: 0 })).rejects.toMatchObject({
        code: 'SOURCE_LOCKED',
        kind: 'retryable',
      });
      const imported = importStates(vllm);
      const isWaiting = await Promise.race([imported.then(() => false), sleep(300, true)]);
      expect(isWaiting).toBe(true);
      holder.stdin.end();
      expect((await imported).traces).toBe(VLLM_TRACES.length);
    },
  );

  interface VllmFile {
    tokens: number[];
    states: Uint8Array;
    rows: number;
    layers: number;
    dtype?: TensorWithData['dtype'];
    tokenShape?: number[];
  }

  async function edit(name: string, change: (file: VllmFile) => VllmFile): Promise<void> {
    const path = join(vllm.source, name);
    const file = await openSafetensors(path);
    const { shape } = file.tensor('hidden_states');
    const ids = new BigInt64Array((await file.read('token_ids')).buffer);
    const original = {
      tokens: Array.from(ids, Number),
      states: await file.read('hidden_states'),
      rows: shape[0]!,
      layers: shape[1]!,
    };
    await file.close();
    const { tokens, states, rows, layers, dtype = 'F16', tokenShape = [tokens.length] } = change(original);
    await writeSafetensors(path, [
      { name: 'token_ids', dtype: 'I64', shape: tokenShape, data: BigInt64Array.from(tokens, BigInt) },
      { name: 'hidden_states', dtype, shape: [rows, layers, 192], data: states },
    ]);
  }
});

describe('importing', () => {
  test('keeps a finished shard, and refuses one that was made otherwise', async () => {
    const first = await importStates(step);
    const again = await importStates(step);
    expect(again.shards).toEqual(first.shards.map((shard) => ({ ...shard, status: 'kept' })));
    await expect(importStates({ ...step, storage: 'F32' })).rejects.toMatchObject({ code: 'OUTPUT_DIFFERS' });
    await expect(importStates({ ...step, layers: '5,-1' })).rejects.toMatchObject({ code: 'BAD_LAYERS' });
  });

  test('deletes a .pt file once all its traces are on disk, not before', async () => {
    const half: ImportOptions = { ...step, afterwards: 'delete', end: 3 };
    await importStates(half);
    expect(await readdir(step.source)).toHaveLength(1);
    await importStates({ ...half, start: 3, end: 5 });
    // Each call knows its own range alone.
    expect(await readdir(step.source)).toHaveLength(1);
    await importStates({ ...step, afterwards: 'delete', outputPath: join(folder, 'hs/whole') });
    expect(await readdir(step.source)).toEqual([]);
  });

  test('says which files no trace took', async () => {
    const warnings: string[] = [];
    await importStates({ ...vllm, start: 1, onWarning: (text) => warnings.push(text) });
    expect(warnings).toEqual([expect.stringMatching(/^1 files were taken by no trace: cmpl-00000f-0\.safetensors$/)]);
  });

  test('needs a folder that is there', async () => {
    await mkdir(join(folder, 'none'));
    await expect(importStates({ ...vllm, source: join(folder, 'x') })).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    });
    await expect(
      importStates({ ...vllm, source: join(folder, 'none'), maxFailures: { count: 0 } }),
    ).rejects.toMatchObject({
      code: 'TOO_MANY_FAILURES',
    });
  });
});

test('a sequence of tokens is found among those that begin with it', () => {
  const index = createTokenIndex();
  const sequences = Array.from({ length: 50 }, (_, id) =>
    Array.from({ length: 10 + 7 * id }, (_, i) => (i < 8 ? i : (i * i * (id + 1)) % 997)),
  );
  for (const [id, tokens] of sequences.entries()) index.add(id, tokens);
  for (const [id, tokens] of sequences.entries()) {
    for (const length of [tokens.length, Math.ceil(tokens.length / 2)]) {
      expect(index.candidates(tokens, Math.max(length - 1, 8))).toContain(id);
    }
  }
  expect(index.candidates([500, 501], 2)).toEqual([]);
});
