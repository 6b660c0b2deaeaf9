import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { f32ToBf16, toFloat32 } from '@scorer/core/safetensors';
import type { Storage } from '@scorer/core/schema';
import { openShard, openShardWriter, type TraceStates } from '@scorer/core/shards';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Decoder, openDecoder } from '../decoder/decoder.js';
import { normalised, readFinalNorm } from '../import/final-norm.js';
import { stored } from '../import/store.js';
import { loadModel } from '../model/load-model.js';
import { extract } from '../run/extract.js';
import { audit } from './audit.js';
import { distance } from './distance.js';

const MODEL = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));
const RECORDS = fileURLToPath(new URL('../run/fixtures/steps.jsonl', import.meta.url));
const [MIDDLE, LAST] = [3, 5];
const LAYERS = [MIDDLE, LAST];
const D = 192;

let folder: string;
let traces: TraceStates[];
let origin: Parameters<typeof openShardWriter>[1]['metadata'];
/** Every layer, float32. */
let decoder: Decoder;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'audit-'));
  const run = { model: MODEL, inputPath: RECORDS, outputPath: join(folder, 'own/x'), device: 'cpu' } as const;
  const { shards } = await extract({ ...run, layers: LAYERS.join(), storage: 'F32' });
  const shard = await openShard(shards[0]!.path);
  traces = await Promise.all(Array.from({ length: shard.traceCount }, (_, i) => shard.readTrace(i)));
  const { model, model_fingerprint, input_fingerprint, dtype, device, runtime } = shard.metadata;
  origin = { model, model_fingerprint, input_fingerprint, dtype, device, runtime };
  await shard.close();
  const options = { storage: 'F32', compute: 'float32', device: 'cpu', threads: 1 } as const;
  decoder = await openDecoder(await loadModel(MODEL), { layers: [0, 1, 2, 3, 4, 5], ...options });
});

afterAll(async () => {
  await decoder.close();
  await rm(folder, { recursive: true });
});

type States = Map<number, Float32Array>;
type Fault = (trace: TraceStates, states: States, i: number) => States | Promise<States>;

let written = 0;

/** Writes the traces with other states and audits them. */
async function audited(fault: Fault, { storage = 'F16' as Storage, dtype = 'float32' } = {}) {
  const inputDir = join(folder, `hs${written++}`);
  await mkdir(inputDir);
  const metadata = { ...origin, dtype };
  const writer = await openShardWriter(join(inputDir, 'a.safetensors'), {
    layers: LAYERS,
    hiddenSize: D,
    storage,
    metadata,
  });
  for (const [i, trace] of traces.entries()) {
    const own = new Map([...trace.hiddenStates].map(([layer, bytes]) => [layer, toFloat32('F32', bytes)]));
    const states = await fault(trace, own, i);
    const hiddenStates = new Map([...states].map(([layer, values]) => [layer, stored(values, storage)]));
    await writer.append({ ...trace, hiddenStates });
  }
  await writer.seal();
  return audit({ model: MODEL, inputDir, device: 'cpu', threads: 1 });
}

const each =
  (change: (values: Float32Array) => Float32Array): Fault =>
  (_, states) =>
    new Map([...states].map(([layer, values]) => [layer, change(values)]));
const elsewhere =
  (position: (p: number) => number, layerOf: (layer: number) => number): Fault =>
  async ({ inputIds, stepPositions }) => {
    const states = await decoder.hiddenStates({ inputIds, positions: stepPositions.map(position) });
    return new Map(LAYERS.map((layer) => [layer, toFloat32('F32', states.get(layerOf(layer))!)]));
  };
const toBf16 = each((values) => toFloat32('BF16', stored(values, 'BF16')));

describe('an audit finds nothing wrong with good states', () => {
  test.each([
    ['float32', 'F32'],
    ['float32', 'F16'],
    ['float32', 'BF16'],
    ['float16', 'F16'],
    ['bfloat16', 'BF16'],
  ] as const)('computed in %s, stored as %s', async (dtype, storage) => {
    const noise = { float32: 0, float16: 2 ** -11, bfloat16: 2 ** -8 }[dtype];
    const computed = each((values) => values.map((value, i) => value * (1 + noise * Math.sin(7.7 * i))));
    const summary = await audited(computed, { dtype, storage });
    expect(summary).toMatchObject({ good: true, faults: [], traces: 5, all_traces: 5, fingerprint_matches: true });
    expect(summary.rows).toBe(38 * LAYERS.length);
  });
});

describe('an audit names', () => {
  test.each<[string, string, string | RegExp, Fault]>([
    [
      'the next token',
      'position',
      'shifted by +1 token',
      elsewhere(
        (p) => p + 1,
        (layer) => layer,
      ),
    ],
    [
      'the token before',
      'position',
      'shifted by -1 token',
      elsewhere(
        (p) => p - 1,
        (layer) => layer,
      ),
    ],
    [
      'the layer below',
      'layer',
      /^of layer [24]$/,
      elsewhere(
        (p) => p,
        (layer) => layer - 1,
      ),
    ],
    [
      'the layer below at the next token',
      'layer',
      /^of layer [24], shifted by \+1 token$/,
      elsewhere(
        (p) => p + 1,
        (layer) => layer - 1,
      ),
    ],
    ['bfloat16 that was widened', 'precision', 'rounded to BF16 before it was stored', toBf16],
    [
      'arithmetic of few bits',
      'precision',
      /^as exact as fewer bits than bfloat16, said to be float32 stored as F16$/,
      each((values) => values.map((value, i) => value * (1 + 0.2 * Math.sin(7.7 * i)))),
    ],
    [
      'bits of bfloat16 read as float16',
      'precision',
      'bits of another 16-bit type',
      each((values) => {
        const bits = new Uint16Array(values.length);
        f32ToBf16(values, bits);
        return toFloat32('F16', new Uint8Array(bits.buffer));
      }),
    ],
    [
      'noise',
      'unknown',
      'no states of this model at this text',
      each((values) => values.map((_, i) => Math.sin(7.7 * i))),
    ],
  ])('%s', async (_, kind, detail, fault) => {
    const { good, faults } = await audited(fault);
    expect(good).toBe(false);
    expect(faults.map((found) => found.kind)).toEqual(faults.map(() => kind));
    for (const found of faults) expect(found.detail).toMatch(detail);
    expect(faults.reduce((sum, { rows }) => sum + rows, 0)).toBe(38 * LAYERS.length);
  });

  test('the residual stream before the final norm, and one after a norm it should not have', async () => {
    // Directions are all that is left of the stream, since its norm is the same at every scale.
    const norm = await readFinalNorm(await loadModel(MODEL));
    const before: Fault = (_, states) =>
      new Map(
        [...states].map(([layer, values]) => {
          if (layer !== LAST) return [layer, normalised(values, norm)];
          return [layer, values.map((value, i) => (3 * value) / norm.weight[i % D]!)];
        }),
      );
    const { faults } = await audited(before, { storage: 'F32' });
    expect(faults.map(({ kind, detail, example }) => [kind, detail, example.layer]).sort()).toEqual([
      ['norm', 'after a final norm', MIDDLE],
      ['norm', 'before the final norm', LAST],
    ]);
  });

  test('the states of the next step', async () => {
    const { faults } = await audited(each((values) => values.slice().copyWithin(0, D)));
    // The last step of each of the five traces has kept its own.
    const rows = (38 - 5) * LAYERS.length;
    expect(faults).toMatchObject([{ kind: 'step', detail: 'of another step of the trace', rows }]);
  });

  test('the final norm applied twice', async () => {
    const norm = await readFinalNorm(await loadModel(MODEL));
    const twice: Fault = (_, states) =>
      new Map([...states].map(([layer, values]) => [layer, layer === LAST ? normalised(values, norm) : values]));
    const { faults } = await audited(twice);
    expect(faults).toMatchObject([{ kind: 'norm', detail: 'after the final norm twice', rows: 38 }]);
  });

  test('traces that were swapped, though others are the same text', async () => {
    // Records 1, 3 and 4 are equal; 1 and 2 have as many steps.
    const swapped: Fault = (_, states, i) => {
      const from = traces[{ 1: 2, 2: 1 }[i] ?? i]!;
      return i === 1 || i === 2
        ? new Map([...from.hiddenStates].map(([layer, bytes]) => [layer, toFloat32('F32', bytes)]))
        : states;
    };
    const { faults } = await audited(swapped);
    expect(faults).toMatchObject([{ kind: 'trace', detail: 'of another trace', traces: 2 }]);
  });

  test('a fault of one shard among good ones, with its place', async () => {
    const { faults } = await audited((trace, states, i) =>
      i === 2
        ? elsewhere(
            (p) => p + 1,
            (l) => l,
          )(trace, states, i)
        : states,
    );
    expect(faults).toMatchObject([
      { kind: 'position', traces: 1, rows: 12, example: { shard: 'a.safetensors', trace_index: 2, layer: MIDDLE } },
    ]);
  });
});

test('an audit refuses states that cannot be of the model', async () => {
  const inputDir = join(folder, 'narrow');
  await mkdir(inputDir);
  const shape = { layers: [7], hiddenSize: 8, storage: 'F16', metadata: origin } as const;
  const writer = await openShardWriter(join(inputDir, 'a.safetensors'), shape);
  await writer.append({ ...traces[0]!, hiddenStates: new Map([[7, new Uint8Array(14 * 8 * 2)]]) });
  await writer.seal();
  await expect(audit({ model: MODEL, inputDir })).rejects.toMatchObject({ code: 'AUDIT_HIDDEN_SIZE', kind: 'input' });
});

test.each([-1, 1024])('an audit refuses states of a trace with the token %i, which the model has not', async (id) => {
  const inputDir = join(folder, `alien${id}`);
  await mkdir(inputDir);
  const shape = { layers: LAYERS, hiddenSize: D, storage: 'F32', metadata: origin } as const;
  const writer = await openShardWriter(join(inputDir, 'a.safetensors'), shape);
  await writer.append({ ...traces[0]!, inputIds: traces[0]!.inputIds.with(7, id) });
  await writer.seal();
  await expect(audit({ model: MODEL, inputDir, device: 'cpu' })).rejects.toMatchObject({ code: 'AUDIT_TOKENS' });
});

test('the distance of rows sees small dimensions beside huge ones, and single wrong ones', () => {
  const row = Float32Array.from({ length: 100 }, (_, i) => (i === 0 ? 1e4 : Math.sin(i)));
  expect(distance(row, row)).toBe(0);
  expect(
    distance(
      row.map((x, i) => (i === 0 ? x : Math.cos(i))),
      row,
    ),
  ).toBeGreaterThan(0.5);
  expect(distance(row.with(0, 0), row)).toBeCloseTo(1);
  expect(distance(row.with(5, Number.NaN), row)).toBe(Number.POSITIVE_INFINITY);
});
