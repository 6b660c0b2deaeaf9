import { createGraph, encodeGraph, int64, openSession, type TensorData } from '@scorer/core/onnx';
import { randomStream } from '@scorer/core/random';
import { describe, expect, test } from 'vitest';
import type { DecoderSpec } from '../model/decoder-spec.js';
import { allQueries, type QueryChunks, wantedQueries } from './attention-chunks.js';
import type { Builder } from './builder.js';
import { causalAttention, flashKeys } from './causal-attention.js';
import { lengthOf } from './projections.js';

const H = 4;
const K = 2;
const D = 8;
/** Several chunks of each kind, the last one not full. */
const LENGTH = 450;
/** Of the largest value; scores of a thousand have their last bit at 6e-5. */
const TOLERANCE = 5e-6;
const TOLERANCE_OF_LARGE = 1e-4;
const spec = { headCount: H, keyValueHeadCount: K, headSize: D } as DecoderSpec;

describe('attention in chunks is that of the formula', () => {
  const { query, key, value } = randomStates(1);
  test.each([
    ['', undefined],
    [' in a window of one key', 1],
    [' in a window smaller than a chunk', 20],
    [' in a window larger than a chunk', 300],
    [' in a window larger than all', 1000],
  ])('for all queries%s', async (_, window) => {
    const states = { query, key, value };
    expectClose(await computed(states, { window }), formula(states, { window }));
  });

  test.each([
    ['', undefined],
    [' in a window', 100],
  ])('for queries that are far apart%s', async (_, window) => {
    const positions = Array.from({ length: 75 }, (_, i) => 5 * i + 3);
    const states = { query, key, value };
    expectClose(await computed(states, { window, positions }), formula(states, { window, positions }));
  });

  test('for queries after a past', async () => {
    const start = 333;
    const states = { query: query.slice(start * H * D), key, value };
    expectClose(await computed(states, { start }), formula(states, { start }));
  });
});

test('where scores are hundreds apart, the largest decides, be it in a chunk or before it', async () => {
  const states = randomStates(20);
  expectClose(await computed(states, {}), formula(states, {}), TOLERANCE_OF_LARGE);
});

test('what is after a query changes no bit of what it gets', async () => {
  const { query, key, value } = randomStates(1);
  const before = await computed({ query, key, value }, {});
  const from = 400;
  for (const states of [key, value]) states.fill(1e6, from * K * D);
  const after = await computed({ query, key, value }, {});
  expect(after.subarray(0, from * H * D)).toEqual(before.subarray(0, from * H * D));
});

interface States {
  /** [N, H·d] */
  readonly query: Float32Array;
  /** [L, K·d] */
  readonly key: Float32Array;
  readonly value: Float32Array;
}

interface Asked {
  readonly window?: number | undefined;
  /** Queries are of these tokens; of all from `start` on where left out. */
  readonly positions?: readonly number[];
  readonly start?: number;
}

function randomStates(size: number): States {
  const random = randomStream(0, 'attention');
  const states = (width: number) =>
    Float32Array.from({ length: LENGTH * width }, () => size * (2 * random.uniform() - 1));
  return { query: states(H * D), key: states(K * D), value: states(K * D) };
}

async function computed({ query, key, value }: States, { window, positions, start = 0 }: Asked): Promise<Float32Array> {
  const graph = createGraph('attention');
  const builder = { graph, spec, options: { compute: 'float32' } } as unknown as Builder;
  const queries = graph.input('query', 'float32', [1, 'N', H * D]);
  const cache = {
    key: graph.input('key', 'float32', [1, K, 'L', D]),
    value: graph.input('value', 'float32', [1, K, 'L', D]),
  };
  const length = lengthOf(builder, queries, 1);
  const first = int64(graph, [start]);
  const all = allQueries(builder, { length, planned: length, start: first });
  const wanted = (places: readonly number[]): QueryChunks =>
    wantedQueries(builder, graph.constant('int32', [places.length], Int32Array.from(places)), first);
  const keys = flashKeys(builder, cache, all.chunks.padding);
  const attended = causalAttention(builder, queries, positions ? wanted(positions) : all, keys, window);
  graph.output('attended', attended, 'float32', [1, 'N', H * D]);

  const asked = positions ? Float32Array.from(positions.flatMap((place) => [...row(query, place, H * D)])) : query;
  const session = await openSession(encodeGraph(graph), { device: 'cpu' });
  const feeds: Record<string, TensorData> = {
    query: { type: 'float32', dims: [1, asked.length / (H * D), H * D], data: asked },
    key: { type: 'float32', dims: [1, K, key.length / (K * D), D], data: byHead(key) },
    value: { type: 'float32', dims: [1, K, value.length / (K * D), D], data: byHead(value) },
  };
  const outputs = await session.run(feeds, { fetch: ['attended'] });
  await session.close();
  return outputs.attended!.data as Float32Array;
}

/** softmax(q·kᵀ / √d) over the keys that each query sees, times v (arXiv 1706.03762), in double precision. */
function formula({ query, key, value }: States, { window = LENGTH, positions, start = 0 }: Asked): Float32Array {
  const places = positions ?? Array.from({ length: query.length / (H * D) }, (_, i) => start + i);
  const attended = new Float32Array(places.length * H * D);
  for (const [n, place] of places.entries()) {
    for (let head = 0; head < H; head++) {
      const q = row(query, positions ? place : n, H * D).subarray(head * D, (head + 1) * D);
      const ofKeys = (states: Float32Array, at: number): Float32Array =>
        row(states, at, K * D).subarray(Math.floor((head * K) / H) * D);
      const seen = Array.from({ length: Math.min(window, place + 1) }, (_, i) => place - i);
      const scores = seen.map((at) => dot(q, ofKeys(key, at)) / Math.sqrt(D));
      const largest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - largest));
      const sum = weights.reduce((a, b) => a + b, 0);
      const of = attended.subarray((n * H + head) * D, (n * H + head + 1) * D);
      of.forEach((_, i) => {
        of[i] = seen.reduce((total, at, j) => total + weights[j]! * ofKeys(value, at)[i]!, 0) / sum;
      });
    }
  }
  return attended;
}

const row = (states: Float32Array, at: number, width: number): Float32Array =>
  states.subarray(at * width, (at + 1) * width);

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

/** [L, K·d] → [K, L, d] */
function byHead(states: Float32Array): Float32Array {
  const L = states.length / (K * D);
  return states.map((_, at) => {
    const [head, token, i] = [Math.floor(at / (L * D)), Math.floor(at / D) % L, at % D];
    return states[(token * K + head) * D + i]!;
  });
}

function expectClose(ours: Float32Array, expected: Float32Array, tolerance = TOLERANCE): void {
  expect(ours.length).toBe(expected.length);
  const largest = expected.reduce((worst, value) => Math.max(worst, Math.abs(value)), 0);
  const difference = ours.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i]!)), 0);
  expect(difference / largest).toBeLessThan(tolerance);
}
