import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Progress } from '@scorer/core/cli';
import { openSafetensors } from '@scorer/core/safetensors';
import { openShard } from '@scorer/core/shards';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ExtractOptions, extract } from './extract.js';
import type { ExtractEvent } from './run-progress.js';

const MODEL = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));
const STEPS = fileURLToPath(new URL('./fixtures/steps.jsonl', import.meta.url));

let folder: string;
let options: ExtractOptions;
let tokens: number[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'events-'));
  const inputPath = join(folder, 'steps.jsonl');
  const lines = (await readFile(STEPS, 'utf8')).trim().split('\n');
  tokens = lines.map((line) => JSON.parse(line).extracted_position.at(-1) + 1);
  await writeFile(inputPath, `${[lines[0], '{"no": "record"}', ...lines.slice(1)].join('\n')}\n`);
  tokens.splice(1, 0, 0);
  options = {
    model: MODEL,
    inputPath,
    outputPath: join(folder, 'x'),
    device: 'cpu',
    shardSize: 4,
    maxFailures: { count: 1 },
  };
});
afterEach(() => rm(folder, { recursive: true }));

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** What a run tells, also one that stops after so many traces. */
async function told(stopAfter = Number.POSITIVE_INFINITY): Promise<{ events: ExtractEvent[]; progress: Progress[] }> {
  const stop = new AbortController();
  const [events, progress]: [ExtractEvent[], Progress[]] = [[], []];
  await extract({
    ...options,
    signal: stop.signal,
    onProgress: (step) => progress.push(step),
    onEvent(event) {
      events.push(event);
      if (ofKind(events, 'trace_done').length >= stopAfter) stop.abort(new Error('enough'));
    },
  }).catch((error) => expect(error).toMatchObject({ message: 'enough' }));
  return { events, progress };
}

function ofKind<Kind extends ExtractEvent['event']>(events: readonly ExtractEvent[], kind: Kind) {
  return events.filter((event): event is Extract<ExtractEvent, { event: Kind }> => event.event === kind);
}

describe('the events of a run', () => {
  test('tell its plan, every trace, every shard and the end', async () => {
    const { events } = await told();
    expect(events[0]).toMatchObject({
      event: 'started',
      device: 'cpu',
      dtype: 'float32',
      layers: [5],
      shards: 2,
      shards_kept: 0,
      traces: 6,
      tokens: sum(tokens),
      memory: { model: expect.any(Number), longest_trace: expect.any(Number) },
    });
    const done = ofKind(events, 'trace_done');
    expect(done.map(({ trace_index }) => trace_index).sort()).toEqual([0, 2, 3, 4, 5]);
    for (const event of done) expect(event.tokens).toBe(tokens[event.trace_index]);
    expect(done.at(-1)).toMatchObject({
      traces_done: 6,
      tokens_done: sum(tokens),
      tokens_total: sum(tokens),
      seconds_left: 0,
    });
    expect(ofKind(events, 'trace_failed')).toMatchObject([
      { shard: 'x_hiddenstates_0_4.safetensors', trace_index: 1, code: 'NOT_A_STEP_RECORD' },
    ]);
    expect(ofKind(events, 'shard_sealed')).toMatchObject([
      { shard: 'x_hiddenstates_0_4.safetensors', traces: 3, failures: 1 },
      { shard: 'x_hiddenstates_4_6.safetensors', traces: 2, failures: 0 },
    ]);
    expect(events.at(-1)).toMatchObject({ event: 'finished', shards: 2, traces: 5, failures: 1, stored: 5 });
  });

  test('of a run that goes on are of what is left, and so are its tokens', async () => {
    const first = ofKind((await told(1)).events, 'trace_done');
    const { events } = await told();
    const done = ofKind(events, 'trace_done');
    const indices = [...first, ...done].map(({ trace_index }) => trace_index);
    expect(indices.sort()).toEqual([0, 2, 3, 4, 5]);
    const left = sum(done.map(({ trace_index }) => tokens[trace_index]!));
    expect(left).toBeLessThan(sum(tokens));
    expect(done.at(-1)).toMatchObject({ traces_done: 6, tokens_done: left, tokens_total: left });

    expect((await told()).events).toMatchObject([
      { event: 'started', shards: 2, shards_kept: 2, traces: 0, tokens: 0, memory: null },
      { event: 'finished', traces: 5, stored: 0 },
    ]);
  });
});

test('progress counts traces and, beside them, the tokens that take the time', async () => {
  const { progress } = await told();
  const traces = { stage: 'extracting hidden states', total: 6, unit: 'traces' };
  expect(progress.map(({ done }) => done)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(progress.at(-1)).toMatchObject({ ...traces, done: 6, work: { done: sum(tokens), total: sum(tokens) } });
});

test('the last of five groups is a fifth of the work; with confidence it has the head as well', async () => {
  const inputPath = join(folder, 'different.jsonl');
  await writeFile(inputPath, (await readFile(STEPS, 'utf8')).split('\n').slice(0, 3).join('\n'));
  /** What counts as done when every trace has left the fourth group. */
  async function beforeLast(more: Partial<ExtractOptions>) {
    let share = 0;
    const onProgress = ({ done, work }: Progress): void => {
      if (done === 0) share = work!.done / work!.total;
    };
    const { shards } = await extract({ ...options, ...more, inputPath, layerGroups: 5, onProgress });
    return { share, path: shards[0]!.path };
  }
  const plain = await beforeLast({});
  const confident = await beforeLast({ confidence: {}, overwrite: 'replace' });

  const weights = await openSafetensors(join(MODEL, 'model.safetensors'));
  const numbersIn = (part: RegExp): number => {
    const matrices = [...weights.tensors.values()].filter(({ name, shape }) => part.test(name) && shape.length === 2);
    return sum(matrices.map(({ shape }) => shape[0]! * shape[1]!));
  };
  const [layers, head] = [numbersIn(/layers/), numbersIn(/embed_tokens/)];
  const shard = await openShard(confident.path);
  const ends = [0, 1, 2].map((trace) => tokens.filter((count) => count > 0)[trace]!);
  let done = 0;
  for (const [trace, end] of ends.entries()) {
    const inLayers = layers * shard.tokenCounts[trace]!;
    const inHead = head * (await shard.confidence(trace))!.logprobs.length;
    done += (end * 0.8 * inLayers) / (inLayers + inHead);
  }
  await Promise.all([weights.close(), shard.close()]);
  expect(plain.share).toBeCloseTo(0.8, 2);
  // What attention multiplies beside the weights is little in traces of 400 tokens.
  expect(done / sum(ends)).toBeLessThan(0.78);
  expect(Math.abs(confident.share - done / sum(ends))).toBeLessThan(0.01);
});
