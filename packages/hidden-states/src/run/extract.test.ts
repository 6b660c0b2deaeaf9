import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { f16ToF32, openSafetensors, writeSafetensors } from '@scorer/core/safetensors';
import { openShard } from '@scorer/core/shards';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Decoder } from '../decoder/decoder.js';
import { estimateMemory } from '../memory/estimate.js';
import { openAnyDecoder } from '../model/any-model.js';
import { loadModel } from '../model/load-model.js';
import { type ExtractOptions, extract } from './extract.js';

const MODEL = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));
const STEPS = fileURLToPath(new URL('./fixtures/steps.jsonl', import.meta.url));
const ORACLE = fileURLToPath(new URL('./fixtures/hidden_states.safetensors', import.meta.url));
const LAYER_COUNT = 5;

let folder: string;
let options: ExtractOptions;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'extract-'));
  options = { model: MODEL, inputPath: STEPS, outputPath: join(folder, 'hs', 'tiny'), device: 'cpu' };
});

afterEach(() => rm(folder, { recursive: true }));

describe('hidden states', () => {
  test('of every layer are those of transformers (tools/oracles/hidden_states.py)', async () => {
    const summary = await extract({ ...options, layers: 'all', storage: 'F32' });
    expect(summary.layers).toEqual([0, 1, 2, 3, 4, 5]);

    const shard = await openShard(summary.shards[0]!.path);
    const oracle = await openSafetensors(ORACLE);
    for (let layer = 0; layer <= LAYER_COUNT; layer++) {
      const ours = floats(await shard.readRows(layer, 0, shard.stepCount));
      const theirs = floats(await oracle.read(`hidden_states.${layer}`));
      expect(ours.length).toBe(theirs.length);
      const largest = ours.reduce((worst, value, i) => Math.max(worst, Math.abs(value - theirs[i]!)), 0);
      expect(largest, `layer ${layer}`).toBeLessThan(2e-4);
    }
    await Promise.all([shard.close(), oracle.close()]);
  });

  test('do not depend on which other layers are kept', async () => {
    const all = await extract({ ...options, layers: 'all' });
    const some = await extract({ ...options, layers: '2', outputPath: join(folder, 'hs', 'some') });
    const [a, b] = await Promise.all([all, some].map(({ shards }) => openShard(shards[0]!.path)));
    expect(await b!.readRows(2, 0, b!.stepCount)).toEqual(await a!.readRows(2, 0, a!.stepCount));
    await Promise.all([a!.close(), b!.close()]);
  });

  test('are stored as float16 and bfloat16 by rounding the same values', async () => {
    const rows: Record<string, Uint8Array> = {};
    for (const storage of ['F16', 'BF16', 'F32'] as const) {
      const { shards } = await extract({ ...options, storage, outputPath: join(folder, 'hs', storage) });
      const shard = await openShard(shards[0]!.path);
      rows[storage] = await shard.readRows(LAYER_COUNT, 0, shard.stepCount);
      await shard.close();
    }
    const exact = floats(rows.F32!);
    const half = new Float32Array(exact.length);
    f16ToF32(words(rows.F16!), half);
    const brain = Float32Array.from(
      words(rows.BF16!),
      (bits) => floats(Uint8Array.of(0, 0, bits & 255, bits >> 8))[0]!,
    );
    for (const [i, value] of exact.entries()) {
      expect(Math.abs(half[i]! - value)).toBeLessThanOrEqual(Math.max(Math.abs(value) * 2 ** -11, 2 ** -25));
      expect(Math.abs(brain[i]! - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -8);
    }
  });
});

describe('a shard', () => {
  test('carries tokens, labels, texts, regions and what it was made from', async () => {
    const { shards } = await extract(options);
    const shard = await openShard(shards[0]!.path);
    const records = (await readFile(STEPS, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));

    expect([...shard.labels]).toEqual(records.map((record) => Number(record.is_correct)));
    expect([...(await shard.stepPositions())]).toEqual(records.flatMap((record) => record.extracted_position));
    expect(await shard.text('full_forward_text')).toEqual(records.map((record) => record.prompt + record.forward_text));
    // The first question holds a blank line: its first step ends inside the prompt.
    expect([...(await shard.stepRegions())].slice(0, 2)).toEqual([0, 1]);
    expect(shard.metadata).toMatchObject({
      model: 'model',
      layers: [5],
      hidden_size: 192,
      dtype: 'float32',
      device: 'cpu',
    });
    await shard.close();
  });

  test('is cut at shardSize, named by its range, and dealt out in parts', async () => {
    const whole = await extract({ ...options, shardSize: 2 });
    expect(whole.shards.map(({ path }) => path.slice(path.lastIndexOf('/') + 1))).toEqual([
      'tiny_hiddenstates_0_2.safetensors',
      'tiny_hiddenstates_2_4.safetensors',
      'tiny_hiddenstates_4_5.safetensors',
    ]);
    const parts = await Promise.all(
      [0, 1].map((index) =>
        extract({ ...options, shardSize: 2, outputPath: join(folder, 'parts', 'tiny'), part: { index, count: 2 } }),
      ),
    );
    expect(parts.map(({ shards }) => shards.length)).toEqual([2, 1]);
    for (const { path } of whole.shards) {
      expect(await readFile(path.replace('/hs/', '/parts/'))).toEqual(await readFile(path));
    }
  });

  test('that was interrupted goes on with the trace after the last stored one, to the same bytes', async () => {
    const whole = await extract(options);
    const outputPath = join(folder, 'resumed', 'tiny');
    const stop = new AbortController();
    const onProgress = ({ done }: { done: number }): void => {
      if (done === 2) stop.abort();
    };
    await expect(extract({ ...options, outputPath, onProgress, signal: stop.signal })).rejects.toThrow(/abort/i);
    expect((await readdir(join(folder, 'resumed'))).filter((name) => !name.startsWith('.'))).toEqual([]);

    const resumed = await extract({ ...options, outputPath });
    expect(await readFile(resumed.shards[0]!.path)).toEqual(await readFile(whole.shards[0]!.path));
    expect(await readdir(join(folder, 'resumed'))).toEqual(['tiny_hiddenstates_0_5.safetensors']);
  });

  test('that is finished is kept, and refused when it was made from other input or settings', async () => {
    const first = await extract(options);
    const again = await extract(options);
    expect(again.shards).toEqual(first.shards.map((shard) => ({ ...shard, status: 'kept' })));

    await expect(extract({ ...options, layers: '1' })).rejects.toMatchObject({ code: 'OUTPUT_DIFFERS' });
    const replaced = await extract({ ...options, layers: '1', overwrite: 'replace' });
    expect(replaced.shards[0]!.status).toBe('written');
  });
});

test('traces are computed in another order than they are stored in, identical ones once, to the same bytes', async () => {
  const lines = (await readFile(STEPS, 'utf8')).trim().split('\n');
  const inputPath = join(folder, 'repeated.jsonl');
  await writeFile(inputPath, [lines[1], lines[0], lines[1], lines[2], lines[1]].map((line) => `${line}\n`).join(''));
  const computed: string[] = [];
  const counting = async (...args: Parameters<typeof openAnyDecoder>) => {
    const decoder = await openAnyDecoder(...args);
    const hiddenStates: Decoder['hiddenStates'] = (sequence) => {
      computed.push(sequence.inputIds.join());
      return decoder.hiddenStates(sequence);
    };
    return { ...decoder, hiddenStates };
  };
  const summary = await extract({ ...options, inputPath, openDecoder: counting });
  expect(computed.length).toBe(3);
  expect(new Set(computed).size).toBe(3);

  const shard = await openShard(summary.shards[0]!.path);
  expect([...shard.traceIndex]).toEqual([0, 1, 2, 3, 4]);
  const separate = await extract({ ...options, outputPath: join(folder, 'hs', 'separate') });
  const other = await openShard(separate.shards[0]!.path);
  for (const [i, line] of [1, 0, 1, 2, 1].entries()) {
    const rows = await shard.readRows(LAYER_COUNT, shard.stepOffsets[i]!, shard.stepOffsets[i + 1]!);
    const expected = await other.readRows(LAYER_COUNT, other.stepOffsets[line]!, other.stepOffsets[line + 1]!);
    expect(rows).toEqual(expected);
  }
  await Promise.all([shard.close(), other.close()]);
});

describe('a trace that cannot be used', () => {
  async function withRecords(edit: (record: Record<string, unknown>, i: number) => unknown): Promise<string> {
    const records = (await readFile(STEPS, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const path = join(folder, 'edited.jsonl');
    await writeFile(path, records.map((record, i) => `${JSON.stringify(edit(record, i))}\n`).join(''));
    return path;
  }

  test('is listed beside the shard, and the others are kept', async () => {
    const inputPath = await withRecords((record, i) => (i === 1 ? { ...record, extracted_position: [9999] } : record));
    const summary = await extract({ ...options, inputPath, maxFailures: { count: 1 } });
    expect(summary).toMatchObject({ traces: 4, failures: 1 });
    const failures = JSON.parse(await readFile(`${summary.shards[0]!.path}.failures.json`, 'utf8'));
    expect(failures).toMatchObject([{ trace_index: 1, code: 'POSITION_BEYOND_TOKENS' }]);
    const shard = await openShard(summary.shards[0]!.path);
    expect([...shard.traceIndex]).toEqual([0, 2, 3, 4]);
    await shard.close();
  });

  test('ends the run when all are like that, and leaves nothing behind', async () => {
    const inputPath = await withRecords((record) => ({ ...record, extracted_position: [9999] }));
    await expect(extract({ ...options, inputPath })).rejects.toMatchObject({
      code: 'TOO_MANY_FAILURES',
      kind: 'input',
    });
    expect(await readdir(join(folder, 'hs'))).toEqual([]);
  });

  test('is listed with the numbers when memory does not suffice for it, and a model that never fits is refused', async () => {
    const estimate = estimateMemory(await loadModel(MODEL), {
      layers: [LAYER_COUNT],
      compute: 'float32',
      device: 'cpu',
    });
    const availableMemory = estimate.model + 240 * estimate.perToken;
    const messages: string[] = [];
    const run = extract({
      ...options,
      availableMemory,
      maxFailures: { count: 5 },
      onInfo: (text) => messages.push(text),
    });
    const { shards, failures } = await run;
    expect(failures).toBe(2);
    const listed = JSON.parse(await readFile(`${shards[0]!.path}.failures.json`, 'utf8'));
    expect(listed[0]).toMatchObject({
      code: 'TRACE_TOO_LONG',
      reason: expect.stringMatching(/tokens need about .* GiB/),
    });
    expect(messages).toEqual([expect.stringMatching(/^memory: about .* for the model and .* for 1,000 tokens/)]);

    const tooLittle = extract({ ...options, outputPath: join(folder, 'hs', 'never'), availableMemory: estimate.model });
    await expect(tooLittle).rejects.toMatchObject({ code: 'MODEL_TOO_LARGE', kind: 'input' });
  });

  test('is named when a value of it does not fit into float16, and fits into wider storage', async () => {
    const model = join(folder, 'model');
    await cp(MODEL, model, { recursive: true });
    const weights = await openSafetensors(join(MODEL, 'model.safetensors'));
    const tensors: Parameters<typeof writeSafetensors>[1][number][] = [];
    for (const { name, dtype, shape } of weights.tensors.values()) {
      const data = (await weights.read(name)).slice();
      // The last value of the last norm becomes 2^100.
      if (name === 'model.norm.weight')
        data.set(dtype === 'F32' ? [0, 0, 128, 113] : [128, 113], data.length - (dtype === 'F32' ? 4 : 2));
      tensors.push({ name, dtype, shape, data });
    }
    await weights.close();
    await writeSafetensors(join(model, 'model.safetensors'), tensors, { format: 'pt' });

    const run = extract({ ...options, model, maxFailures: { count: 0 } });
    await expect(run).rejects.toThrow(/NOT_FINITE.*layer 5 .*F16/);
    for (const storage of ['F32', 'BF16'] as const) {
      const outputPath = join(folder, 'hs', storage);
      expect(await extract({ ...options, model, storage, outputPath })).toMatchObject({ traces: 5, failures: 0 });
    }
  });

  test('is recognised when its positions were made with another tokenizer', async () => {
    const shifted = await withRecords((record) => ({
      ...record,
      extracted_position: (record.extracted_position as number[]).map((position) => position - 1),
    }));
    await expect(extract({ ...options, inputPath: shifted, maxFailures: { count: 0 } })).rejects.toThrow(
      /POSITIONS_DISAGREE/,
    );
  });

  test('is no failure when it has no step: it has no rows', async () => {
    const inputPath = await withRecords((record, i) => {
      const whole = [(record.prompt as string) + (record.forward_text as string)];
      return i === 0 ? { ...record, extracted_position: [], segmented_text_list: whole } : record;
    });
    const summary = await extract({ ...options, inputPath });
    expect(summary).toMatchObject({ traces: 5, failures: 0 });
    const shard = await openShard(summary.shards[0]!.path);
    expect([...shard.stepOffsets].slice(0, 2)).toEqual([0, 0]);
    await shard.close();
  });
});

function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}

function words(bytes: Uint8Array): Uint16Array {
  return new Uint16Array(bytes.slice().buffer);
}
