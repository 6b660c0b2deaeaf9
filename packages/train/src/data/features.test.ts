import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { f16ToF32 } from '@scorer/core/safetensors';
import type { Storage } from '@scorer/core/schema';
import { openShardDataset, type ShardDataset } from '@scorer/core/shards';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FeatureRows } from '../engine/engine.js';
import { writeShard } from '../sample-shards.test.support.js';
import { type FeatureChoice, featureSource, sharedRows } from './features.js';

const LAYERS = [0, 3, 5];

let path: string;
let folder: ShardDataset | undefined;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'features-'));
});
afterEach(async () => {
  await folder?.close();
  folder = undefined;
  await rm(path, { recursive: true });
});

/** Row r of layer l is [100·l + r, −(100·l + r) / 2]: two shards, 4 + 3 rows. */
async function openSample(storage: Storage = 'F16'): Promise<ShardDataset> {
  const trace = (first: number, steps: number) => {
    const rows = (layer: number): Float32Array[] =>
      Array.from({ length: steps }, (_, i) => {
        const value = 100 * layer + first + i;
        return Float32Array.of(value, -value / 2);
      });
    return { question: 'q', isCorrect: true, states: new Map(LAYERS.map((layer) => [layer, rows(layer)])) };
  };
  const options = { layers: LAYERS, hiddenSize: 2, storage };
  await writeShard(join(path, 'a.safetensors'), [trace(0, 1), trace(1, 3)], options);
  await writeShard(join(path, 'b.safetensors'), [trace(4, 3)], options);
  folder = await openShardDataset(path);
  return folder;
}

async function read(choice: FeatureChoice, rows: number[], storage?: Storage): Promise<number[]> {
  const source = featureSource(await openSample(storage), choice);
  return numbers(await source.read(Uint32Array.from(rows)));
}

function numbers(rows: FeatureRows): number[] {
  if (rows.type === 'float32') return [...rows.data];
  const wide = new Float32Array(rows.data.length);
  f16ToF32(rows.data, wide);
  return [...wide];
}

describe('features of rows in several shards', () => {
  test('last: the last layer that is kept', async () => {
    expect(await read({ feature: 'last' }, [0, 2, 3, 4, 6])).toEqual(
      [500, 502, 503, 504, 506].flatMap((value) => [value, -value / 2]),
    );
  });

  test('certain_layer: by its number, not by its place', async () => {
    expect(await read({ feature: 'certain_layer', layer: 3 }, [1, 5])).toEqual([301, -150.5, 305, -152.5]);
  });

  test('concat: the layers of a row one after the other', async () => {
    expect(await read({ feature: 'concat' }, [3, 4])).toEqual([
      3, -1.5, 303, -151.5, 503, -251.5, 4, -2, 304, -152, 504, -252,
    ]);
  });

  test('layer_mean: over all layers, or the last few', async () => {
    expect(await read({ feature: 'layer_mean', numLayers: 2 }, [0, 6])).toEqual([400, -200, 406, -203]);
    await folder!.close();
    await rm(path, { recursive: true });
    path = await mkdtemp(join(tmpdir(), 'features-'));
    // (0 + 300 + 500) / 3, rounded to half precision as numpy does.
    expect(await read({ feature: 'layer_mean' }, [0])).toEqual([266.75, -133.375]);
  });

  test('rows come in the order asked for, also several times, into memory that is given', async () => {
    const source = featureSource(await openSample(), { feature: 'concat' });
    const room = sharedRows('float16', 5, 6);
    const rows = await source.read(Uint32Array.of(6, 0, 6), room);
    expect(numbers(rows)).toEqual([6, 0, 6].flatMap((r) => [0, 300, 500].flatMap((l) => [l + r, -(l + r) / 2])));
    expect(rows.data.buffer).toBe(room.data.buffer);
  });

  test.each<Storage>(['BF16', 'F32'])('%s comes as float32', async (storage) => {
    expect(await read({ feature: 'last' }, [0, 4], storage)).toEqual([500, -250, 504, -252]);
    expect(featureSource(folder!, { feature: 'last' })).toMatchObject({ rowType: 'float32', width: 2, rowBytes: 8 });
  });
});

test.each<[FeatureChoice, string]>([
  [{ feature: 'certain_layer', layer: 4 }, 'LAYER_NOT_KEPT'],
  [{ feature: 'layer_mean', numLayers: 4 }, 'LAYER_NOT_KEPT'],
  [{ feature: 'certain_layer' }, 'BAD_OPTION'],
  [{ feature: 'last', layer: 3 }, 'BAD_OPTION'],
  [{ feature: 'concat', numLayers: 2 }, 'BAD_OPTION'],
])('%o is refused with %s', async (choice, code) => {
  const sample = await openSample();
  expect(() => featureSource(sample, choice)).toThrow(expect.objectContaining({ code, kind: 'usage' }));
});

test('certain_layer alone is told what it needs, and which layers there are', async () => {
  const sample = await openSample();
  expect(() => featureSource(sample, { feature: 'certain_layer' })).toThrow(
    'it needs --layer, --feature certain_layer, the shards keep layers 0, 3, 5',
  );
});
