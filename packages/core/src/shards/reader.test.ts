import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSafetensors, type TensorWithData } from '../safetensors/index.js';
import { type Change, EXAMPLE_SHARD, writeChanged } from './fixtures/changed-shard.js';
import { EXAMPLE, exampleTrace } from './fixtures/traces.js';
import { TEXT_NAMES } from './layout.js';
import { openShard } from './reader.js';
import { openShardWriter } from './writer.js';

const TRACES = [0, 1, 2, 3].map((i) => exampleTrace(i));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shards-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The example shard, changed. */
async function changed(...change: Change): Promise<string> {
  const path = join(folder, 'changed.safetensors');
  await writeChanged(path, ...change);
  return path;
}

const offsets = (...values: number[]): Partial<TensorWithData> => ({ data: BigInt64Array.from(values, BigInt) });

describe('a shard', () => {
  test('gives back what was appended', async () => {
    const shard = await openShard(EXAMPLE_SHARD);
    expect(shard).toMatchObject({ layers: [0, 2], hiddenSize: 3, storage: 'F16', traceCount: 4, stepCount: 6 });
    expect(shard.metadata).toMatchObject(EXAMPLE.metadata);
    expect([...shard.stepOffsets]).toEqual([0, 3, 5, 6, 6]);
    expect([...shard.labels]).toEqual([1, 0, 1, 0]);
    expect([...shard.traceIndex]).toEqual([0, 1, 2, 3]);
    expect([...shard.tokenCounts]).toEqual([7, 5, 3, 1]);
    expect([...(await shard.stepPositions())]).toEqual(TRACES.flatMap(({ stepPositions }) => [...stepPositions]));
    expect([...(await shard.stepRegions())]).toEqual(TRACES.flatMap(({ stepRegions }) => [...stepRegions]));
    for (const [i, { texts, inputIds, hiddenStates }] of TRACES.entries()) {
      expect(await shard.inputIds(i)).toEqual(inputIds);
      for (const name of TEXT_NAMES) expect(await shard.text(name, i, i + 1)).toEqual([texts[name]]);
      for (const [layer, states] of hiddenStates) {
        expect(await shard.readRows(layer, shard.stepOffsets[i]!, shard.stepOffsets[i + 1]!)).toEqual(states);
      }
    }
    expect(await shard.text('question')).toEqual(TRACES.map(({ texts }) => texts.question));
    await shard.close();
  });

  test('is read by Python safetensors with the same values', async () => {
    const python = JSON.parse(readFileSync(new URL('fixtures/example.json', import.meta.url), 'utf8'));
    const file = await openSafetensors(EXAMPLE_SHARD);
    expect(python.metadata).toEqual({ ...file.metadata });
    expect(Object.keys(python.tensors).sort()).toEqual([...file.tensors.keys()].sort());
    const { tensors } = python;
    expect(tensors.step_offsets).toEqual({ dtype: 'int64', shape: [5], values: [0, 3, 5, 6, 6] });
    expect(tensors.input_ids.values).toEqual(TRACES.flatMap(({ inputIds }) => [...inputIds]));
    expect(tensors['hidden_states.2']).toMatchObject({ dtype: 'float16', shape: [6, 3] });
    // Row 3 is the first of trace 1: halves 1 + (100 + 20 + k) / 1024.
    expect(tensors['hidden_states.2'].values.slice(9, 12)).toEqual([0, 1, 2].map((k) => 1 + (120 + k) / 1024));
    expect(Buffer.from(tensors.question.values).toString()).toBe(TRACES.map(({ texts }) => texts.question).join(''));
    await file.close();
  });

  test('gives texts of any length, and those of some traces alone', async () => {
    const path = join(folder, 'long.safetensors');
    const texts = [700_000, 700_000, 3_000_000, 0, 5].map((length, i) => `${i}é`.repeat(length));
    const writer = await openShardWriter(path, EXAMPLE);
    for (const [i, text] of texts.entries()) {
      const trace = exampleTrace(i);
      await writer.append({ ...trace, texts: { ...trace.texts, original_response: text } });
    }
    await writer.seal();
    const shard = await openShard(path);
    expect((await shard.text('original_response')).every((text, i) => text === texts[i])).toBe(true);
    expect(await shard.text('original_response', 3, 5)).toEqual(texts.slice(3));
    expect(await shard.text('original_response', 2, 2)).toEqual([]);
    await shard.close();
  });

  test('has no rows and layers but its own', async () => {
    const shard = await openShard(EXAMPLE_SHARD);
    await expect(shard.readRows(1, 0, 1)).rejects.toMatchObject({ code: 'LAYER_NOT_FOUND', hint: 'it keeps 0, 2' });
    await expect(shard.readRows(0, 5, 7)).rejects.toMatchObject({ code: 'ROWS_OUT_OF_RANGE' });
    await expect(shard.inputIds(4)).rejects.toMatchObject({ code: 'ROWS_OUT_OF_RANGE' });
    await expect(shard.text('question', 0, 5)).rejects.toMatchObject({ code: 'ROWS_OUT_OF_RANGE' });
    await shard.close();
  });
});

describe('a file is refused as a shard', () => {
  const attacks: [name: string, code: string, ...change: Change][] = [
    ['of another format', 'NOT_A_SHARD', {}, { format: 'other' }],
    ['without metadata', 'NOT_A_SHARD', {}, { format: undefined }],
    ['of another version', 'SHARD_METADATA_INVALID', {}, { version: '2' }],
    ['without a fingerprint', 'SHARD_METADATA_INVALID', {}, { model_fingerprint: undefined }],
    ['with layers that are no JSON', 'SHARD_METADATA_INVALID', {}, { layers: '[0' }],
    ['with layers twice', 'SHARD_METADATA_INVALID', {}, { layers: '[0,0,2]' }],
    ['with a layer that is not there', 'SHARD_TENSOR_MISSING', {}, { layers: '[0,1,2]' }],
    ['with a layer that is not in the metadata', 'SHARD_TENSOR_UNEXPECTED', {}, { layers: '[0]' }],
    ['with a tensor of its own', 'SHARD_TENSOR_UNEXPECTED', { x: {} }],
    ['without labels', 'SHARD_TENSOR_MISSING', { is_correct: undefined }],
    ['without the offsets of a text', 'SHARD_TENSOR_MISSING', { question_offsets: undefined }],
    ['with another hidden size', 'SHARD_TENSOR_INVALID', {}, { hidden_size: '4' }],
    ['with layers in two dtypes', 'SHARD_TENSOR_INVALID', { 'hidden_states.2': { dtype: 'BF16' } }],
    ['with a layer in integers', 'SHARD_TENSOR_INVALID', { 'hidden_states.0': { dtype: 'I16' } }],
    ['with a layer of three dimensions', 'SHARD_TENSOR_INVALID', { 'hidden_states.2': { shape: [6, 1, 3] } }],
    ['with positions in another dtype', 'SHARD_TENSOR_INVALID', { step_positions: { dtype: 'F32' } }],
    ['with a label too few', 'SHARD_TENSOR_INVALID', { is_correct: { shape: [3], data: new Uint8Array(3) } }],
    ['with a label that is a scalar', 'SHARD_TENSOR_INVALID', { is_correct: { shape: [], data: new Uint8Array(1) } }],
    ['with offsets that do not begin at 0', 'SHARD_OFFSETS_INVALID', { step_offsets: offsets(1, 3, 5, 6, 6) }],
    ['with offsets that fall', 'SHARD_OFFSETS_INVALID', { input_offsets: offsets(0, 12, 7, 15, 16) }],
    ['with offsets that end early', 'SHARD_OFFSETS_INVALID', { step_offsets: offsets(0, 3, 5, 5, 5) }],
    ['with offsets beyond the end', 'SHARD_OFFSETS_INVALID', { ground_truth_offsets: offsets(0, 1, 2, 3, 5) }],
    [
      'with a label that is neither 0 nor 1',
      'SHARD_LABEL_INVALID',
      { is_correct: { data: Uint8Array.of(0, 1, 2, 0) } },
    ],
    ['with a trace twice', 'SHARD_TRACE_INDEX_INVALID', { trace_index: offsets(0, 1, 1, 3) }],
    ['with a negative trace index', 'SHARD_TRACE_INDEX_INVALID', { trace_index: offsets(-1, 1, 2, 3) }],
  ];

  test.each(attacks)('%s: %s', async (_, code, ...change) => {
    const path = await changed(...change);
    await expect(openShard(path)).rejects.toMatchObject({ code, kind: 'input', where: path });
  });
});
