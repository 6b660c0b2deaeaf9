import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AnyModel, type DecoderOptions, loadModel } from '@scorer/hidden-states';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type KeptDecoder, keepDecoder } from './kept-decoder.js';

const MODEL = fileURLToPath(new URL('../../../demo/data/model', import.meta.url));
const SEQUENCE = { inputIds: Int32Array.of(3, 1, 4, 1, 5), positions: Int32Array.of(4) };

let folder: string;
let model: AnyModel;
let options: DecoderOptions;
let inGroups: DecoderOptions;
let decoder: KeptDecoder;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'kept-'));
  model = await loadModel(MODEL);
  options = { layers: [5], storage: 'F32', compute: 'float32', device: 'cpu' };
  const groups = [
    { first: 1, last: 3 },
    { first: 4, last: 5 },
  ];
  inGroups = { ...options, grouping: { groups, batchTokens: 100, memory: 0, path: join(folder, 'residuals') } };
  decoder = keepDecoder();
});
afterEach(async () => {
  await decoder.close();
  await rm(folder, { recursive: true });
});

test('a decoder stays open after a shard, until it is closed here', async () => {
  const ofShard = await decoder.open(model, options);
  await ofShard.close();
  const ofNext = await decoder.open(model, options);
  expect(await ofNext.hiddenStates(SEQUENCE)).toEqual(await ofShard.hiddenStates(SEQUENCE));
  await decoder.close();
  await expect(ofNext.hiddenStates(SEQUENCE)).rejects.toThrow();
});

test('one with layers in groups ends with its shard, and with it in memory there is no other', async () => {
  const whole = await decoder.open(model, options);
  const expected = await whole.hiddenStates(SEQUENCE);
  const grouped = await decoder.open(model, inGroups);
  await expect(whole.hiddenStates(SEQUENCE)).rejects.toThrow();
  expect(await grouped.hiddenStates(SEQUENCE)).toEqual(expected);
  await grouped.close();
  await expect(grouped.hiddenStates(SEQUENCE)).rejects.toThrow('the decoder is closed');
  expect(await (await decoder.open(model, options)).hiddenStates(SEQUENCE)).toEqual(expected);
});
