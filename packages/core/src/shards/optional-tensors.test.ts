import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256File } from '../files/index.js';
import { openSafetensors } from '../safetensors/index.js';
import { openShardDataset } from './dataset.js';
import { describeStat } from './describe.js';
import { type Change, EXAMPLE_SHARD, writeChanged } from './fixtures/changed-shard.js';
import { EXAMPLE, exampleTrace } from './fixtures/traces.js';
import { partialPath } from './partial.js';
import { openShard } from './reader.js';
import { mergeShards, splitShard } from './rearrange.js';
import { statShards } from './stat.js';
import type { TraceStates } from './trace.js';
import { verifyShard } from './verify.js';
import { openShardWriter, type ShardWriterOptions } from './writer.js';

const WITH_CONFIDENCE = { ...EXAMPLE, confidenceTopK: 20 };

/** The example trace with labels of its steps, but trace 1, which has none, and the confidence of all but its first token. */
function annotatedTrace(i: number): TraceStates {
  const trace = exampleTrace(i);
  const tokens = trace.inputIds.length - 1;
  return {
    ...trace,
    stepLabels: i === 1 ? undefined : Float32Array.from(trace.stepPositions, (_, step) => [1, 0.25, -1][step]!),
    confidence: {
      logprobs: Float32Array.from({ length: tokens }, (_, token) => -token / 4),
      confidences: Float32Array.from({ length: tokens }, (_, token) => i + token / 8),
    },
  };
}
const TRACES = [0, 1, 2, 3].map(annotatedTrace);

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'shards-'));
  path = join(folder, 'x.safetensors');
});
afterEach(() => rm(folder, { recursive: true }));

async function write(
  traces: readonly TraceStates[],
  options: ShardWriterOptions = WITH_CONFIDENCE,
  to = path,
): Promise<Buffer> {
  const writer = await openShardWriter(to, { ...options, overwrite: 'replace' });
  for (const trace of traces) await writer.append(trace);
  await writer.seal();
  return readFile(to);
}

describe('a shard with step labels and confidence', () => {
  test('has them as tensors of their own, -1 where a step has no label', async () => {
    await write(TRACES);
    const file = await openSafetensors(path);
    expect(file.metadata.confidence_top_k).toBe('20');
    expect(file.tensors.get('step_labels')).toMatchObject({ dtype: 'F32', shape: [6] });
    expect(file.tensors.get('confidence_offsets')).toMatchObject({ dtype: 'I64', shape: [5] });
    expect(file.tensors.get('token_logprobs')).toMatchObject({ dtype: 'F32', shape: [12] });
    expect(file.tensors.get('token_confidences')).toMatchObject({ dtype: 'F32', shape: [12] });
    const offsets = await file.read('confidence_offsets');
    expect([...new BigInt64Array(offsets.buffer)]).toEqual([0n, 6n, 10n, 12n, 12n]);
    await file.close();

    const shard = await openShard(path);
    expect(shard).toMatchObject({ hasStepLabels: true, confidenceTopK: 20 });
    expect([...(await shard.stepLabels())!]).toEqual([1, 0.25, -1, -1, -1, 1]);
    for (const i of [0, 1, 2, 3]) expect(await shard.confidence(i)).toEqual(TRACES[i]!.confidence);
    await expect(shard.confidence(4)).rejects.toMatchObject({ code: 'ROWS_OUT_OF_RANGE' });
    expect(await shard.readTrace(0)).toEqual(TRACES[0]);
    await shard.close();
    await verifyShard(path);
  });

  test('is told from one without, also by stat', async () => {
    await write(TRACES);
    const labels = { right: 2, wrong: 1, none: 3 };
    const stat = await statShards(path);
    expect(stat).toMatchObject({ step_labels: labels, confidence_top_k: 20 });
    expect(describeStat(stat)).toMatch(/step labels +2 right, 1 wrong, 3 without\n.*\n +confidence .* the 20 most/);
    expect(Object.keys(await statShards(EXAMPLE_SHARD))).not.toEqual(expect.arrayContaining(['step_labels']));

    const shard = await openShard(EXAMPLE_SHARD);
    expect(shard).toMatchObject({ hasStepLabels: false, confidenceTopK: undefined });
    expect([await shard.stepLabels(), await shard.confidence(0)]).toEqual([undefined, undefined]);
    await shard.close();
  });

  test('whose labels all stand for none has the bytes of one without labels', async () => {
    const traces = [0, 1, 2, 3].map((i) => {
      const trace = exampleTrace(i);
      return { ...trace, stepLabels: new Float32Array(trace.stepPositions.length).fill(-1) };
    });
    expect(await write(traces, EXAMPLE)).toEqual(await readFile(EXAMPLE_SHARD));
  });

  test('gives back any labels and confidences, in whatever order and runs its traces came', async () => {
    const float = (min: number, max: number) => fc.float({ min: Math.fround(min), max: Math.fround(max), noNaN: true });
    const annotation = fc.record({
      labels: fc.option(fc.array(fc.oneof(fc.constant(-1), float(0, 1)), { minLength: 3, maxLength: 3 })),
      tokens: fc.array(fc.tuple(float(-1e30, 0), float(0, 1e30)), { maxLength: 7 }),
    });
    const annotations = fc.array(annotation, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(annotations, fc.boolean(), fc.nat(3), async (all, hasConfidence, brokenAt) => {
        const traces = all.map(({ labels, tokens }, i): TraceStates => {
          const trace = { ...exampleTrace(4 * i) };
          if (labels) trace.stepLabels = Float32Array.from(labels);
          const confidence = {
            logprobs: Float32Array.from(tokens, ([logprob]) => logprob),
            confidences: Float32Array.from(tokens, ([, confidence]) => confidence),
          };
          return hasConfidence ? { ...trace, confidence } : trace;
        });
        const options = hasConfidence ? WITH_CONFIDENCE : EXAMPLE;
        const whole = await write(traces, options);
        await rm(path);

        const [first, rest] = [traces.slice(0, brokenAt), traces.slice(brokenAt)];
        const broken = await openShardWriter(path, options);
        for (const trace of first.reverse()) await broken.append(trace);
        await broken.close();
        const writer = await openShardWriter(path, options);
        expect(writer.finished.size).toBe(first.length);
        for (const trace of rest) await writer.append(trace);
        await writer.seal();
        expect(await readFile(path)).toEqual(whole);

        await verifyShard(path);
        const shard = await openShard(path);
        const none = new Float32Array(3).fill(-1);
        for (const [i, trace] of traces.entries()) {
          const stepLabels = shard.hasStepLabels ? (trace.stepLabels ?? none) : undefined;
          expect(await shard.readTrace(i)).toEqual({ confidence: undefined, ...trace, stepLabels });
        }
        await shard.close();
        await rm(path);
      }),
      { numRuns: 40 },
    );
  });

  test('goes on where its log was cut, at any byte of the last trace', async () => {
    const whole = await write(TRACES);
    await rm(path);
    const logOf = async (...traces: number[]): Promise<Buffer> => {
      const writer = await openShardWriter(path, WITH_CONFIDENCE);
      for (const i of traces) await writer.append(annotatedTrace(i));
      await writer.close();
      return readFile(partialPath(path));
    };
    const before = await logOf(2, 1);
    const log = await logOf(0);
    for (let length = before.length; length <= log.length; length++) {
      await writeFile(partialPath(path), log.subarray(0, length));
      const writer = await openShardWriter(path, WITH_CONFIDENCE);
      expect([...writer.finished]).toEqual(length < log.length ? [2, 1] : [2, 1, 0]);
      await writer.close();
    }
    await writeFile(partialPath(path), log.subarray(0, -1));
    const writer = await openShardWriter(path, WITH_CONFIDENCE);
    for (const i of [3, 0]) await writer.append(annotatedTrace(i));
    await writer.seal();
    expect(await readFile(path)).toEqual(whole);
  });

  test('does not go on with a log without confidence, or over another number of tokens', async () => {
    await (await openShardWriter(path, EXAMPLE)).close();
    const refusal = { code: 'PARTIAL_MISMATCH' };
    await expect(openShardWriter(path, WITH_CONFIDENCE)).rejects.toMatchObject(refusal);
    await (await openShardWriter(path, { ...WITH_CONFIDENCE, overwrite: 'replace' })).close();
    await expect(openShardWriter(path, { ...EXAMPLE, confidenceTopK: 5 })).rejects.toMatchObject(refusal);
    await expect(openShardWriter(path, EXAMPLE)).rejects.toMatchObject(refusal);
  });

  test('keeps them when it is split and merged again', async () => {
    const whole = await write(TRACES);
    const parts = await splitShard(path, join(folder, 'part'), 1);
    expect(parts.map(({ traces }) => traces)).toEqual([1, 1, 1, 1]);
    const unlabelled = await openShard(parts[1]!.path);
    expect(unlabelled).toMatchObject({ hasStepLabels: false, confidenceTopK: 20 });
    await unlabelled.close();
    const merged = join(folder, 'merged.safetensors');
    const { data_sha256 } = await mergeShards(
      parts.map(({ path }) => path),
      merged,
    );
    const source = await openShard(path);
    expect(data_sha256).toBe(source.metadata.data_sha256);
    expect((await readFile(merged)).length).toBe(whole.length);
    await source.close();
  });

  test('does not merge with one without confidence', async () => {
    await write(TRACES.slice(0, 2));
    const other = join(folder, 'y.safetensors');
    await write([exampleTrace(2)], EXAMPLE, other);
    await expect(mergeShards([path, other], join(folder, 'z.safetensors'))).rejects.toMatchObject({
      code: 'SHARDS_DISAGREE',
      message: expect.stringContaining('confidence_top_k is absent'),
    });
  });
});

describe('where the confidence of a shard is from', () => {
  const from = (confidence_from: 'model' | 'field', more: Partial<ShardWriterOptions> = {}): ShardWriterOptions => ({
    ...WITH_CONFIDENCE,
    ...more,
    metadata: { ...EXAMPLE.metadata, confidence_from },
  });

  test('stands in its metadata, those of its parts and its stat', async () => {
    await write(TRACES, from('field'));
    const parts = await splitShard(path, join(folder, 'part'), 2);
    const merged = join(folder, 'merged.safetensors');
    await mergeShards(
      parts.map((part) => part.path),
      merged,
    );
    for (const file of [path, parts[0]!.path, merged]) {
      const stat = await statShards(file);
      expect(stat).toMatchObject({ confidence_from: 'field', metadata: { confidence_from: 'field' } });
      expect(describeStat(stat)).toMatch(/confidence .* the 20 most probable, from the records' logprobs\n/);
    }
    await write(TRACES, from('model'));
    expect(describeStat(await statShards(path))).toMatch(/most probable, computed by the model\n/);
  });

  test('is not told where the maker does not say, or where there is none', async () => {
    await write(TRACES);
    expect(await statShards(path)).not.toHaveProperty('confidence_from');
    expect(
      await write(
        [0, 1, 2, 3].map((i) => exampleTrace(i)),
        from('model', { confidenceTopK: undefined }),
      ),
    ).toEqual(await readFile(EXAMPLE_SHARD));
  });

  test('keeps an unfinished shard of the other kind from being gone on with, and shards from being merged', async () => {
    await (await openShardWriter(path, from('model'))).close();
    await expect(openShardWriter(path, from('field'))).rejects.toMatchObject({ code: 'PARTIAL_MISMATCH' });

    const other = join(folder, 'y.safetensors');
    await write(TRACES.slice(0, 2), from('model'));
    await write(TRACES.slice(2), from('field'), other);
    await expect(mergeShards([path, other], join(folder, 'z.safetensors'))).rejects.toMatchObject({
      code: 'SHARDS_DISAGREE',
      message: expect.stringContaining('confidence_from is field'),
    });
  });
});

test('a folder of shards with and without step labels gives -1 for the rows of the latter', async () => {
  const labelled = { ...exampleTrace(1), stepLabels: Float32Array.of(0.5, 0) };
  const plain = EXAMPLE;
  await write([exampleTrace(0)], plain, join(folder, 'a.safetensors'));
  await write([labelled], plain, join(folder, 'b.safetensors'));
  const set = await openShardDataset(folder);
  expect([...(await set.stepLabels())!]).toEqual([-1, -1, -1, 0.5, 0]);
  await set.close();
});

describe('a trace is refused before anything is written', () => {
  const two = Float32Array.of(-1, -2);
  const wrong: [name: string, change: Partial<TraceStates>][] = [
    ['with a step label too few', { stepLabels: Float32Array.of(1, 1) }],
    ['with a step label above 1', { stepLabels: Float32Array.of(1, 1, 1.5) }],
    ['with a step label that is no number', { stepLabels: Float32Array.of(1, 1, Number.NaN) }],
    ['without the confidence of its shard', { confidence: undefined }],
    ['with a logprob above 0', { confidence: { logprobs: Float32Array.of(0.5), confidences: Float32Array.of(1) } }],
    ['with a logprob too few', { confidence: { logprobs: two, confidences: Float32Array.of(1) } }],
    ['with a confidence below 0', { confidence: { logprobs: two, confidences: two } }],
    [
      'with more of them than tokens',
      { confidence: { logprobs: new Float32Array(8), confidences: new Float32Array(8) } },
    ],
  ];
  test.each(wrong)('%s', async (_, change) => {
    const writer = await openShardWriter(path, WITH_CONFIDENCE);
    const trace = { ...annotatedTrace(0), ...change };
    await expect(writer.append(trace)).rejects.toMatchObject({ code: 'SHARD_TRACE_INVALID' });
    await writer.close();
  });

  test('with a confidence that its shard has no place for', async () => {
    const writer = await openShardWriter(path, EXAMPLE);
    await expect(writer.append(annotatedTrace(0))).rejects.toMatchObject({ code: 'SHARD_TRACE_INVALID' });
    await writer.close();
  });
});

describe('a damaged shard is refused', () => {
  const floats = (...values: number[]) => ({
    dtype: 'F32' as const,
    shape: [values.length],
    data: Float32Array.from(values),
  });
  const offsets = (...values: number[]) => ({
    dtype: 'I64' as const,
    shape: [values.length],
    data: BigInt64Array.from(values, BigInt),
  });
  const confidence: Change[0] = {
    confidence_offsets: offsets(0, 2, 2, 3, 3),
    token_logprobs: floats(-1, 0, -0.5),
    token_confidences: floats(3, 0, 1),
  };
  const topK = { confidence_top_k: '20' };

  /** The example shard with other tensors, and the checksum that belongs to them. */
  async function consistent(tensors: Change[0], metadata: Change[1] = {}): Promise<void> {
    await writeChanged(path, tensors, metadata);
    const file = await openSafetensors(path);
    await file.close();
    const data_sha256 = await sha256File(path, { start: file.dataStart });
    await writeChanged(path, tensors, { ...metadata, data_sha256 });
  }

  test('but not for right values', async () => {
    await consistent({ ...confidence, step_labels: floats(1, 0, -1, -1, 0.5, 1) }, topK);
    await verifyShard(path);
  });

  test.each<[name: string, code: string, tensors: Change[0], metadata?: Change[1]]>([
    ['a step label above 1', 'SHARD_STEP_LABEL_INVALID', { step_labels: floats(1, 0, 1, 1, 1, 2) }],
    ['a step label below 0', 'SHARD_STEP_LABEL_INVALID', { step_labels: floats(1, 0, 1, 1, 1, -0.5) }],
    ['a step label that is no number', 'SHARD_STEP_LABEL_INVALID', { step_labels: floats(1, 0, Number.NaN, 1, 1, 1) }],
    ['a step label too few', 'SHARD_TENSOR_INVALID', { step_labels: floats(1, 0, 1, 1, 1) }],
    ['step labels in integers', 'SHARD_TENSOR_INVALID', { step_labels: { shape: [6], data: new Uint8Array(6) } }],
    ['confidence that the metadata do not name', 'SHARD_TENSOR_UNEXPECTED', confidence],
    ['confidence that is only named', 'SHARD_TENSOR_MISSING', {}, topK],
    ['no offsets of it', 'SHARD_TENSOR_MISSING', { ...confidence, confidence_offsets: undefined }, topK],
    ['a source of it that is not known', 'SHARD_METADATA_INVALID', confidence, { ...topK, confidence_from: 'x' }],
    ['a number of tokens that is 0', 'SHARD_METADATA_INVALID', confidence, { confidence_top_k: '0' }],
    ['offsets that fall', 'SHARD_OFFSETS_INVALID', { ...confidence, confidence_offsets: offsets(0, 2, 1, 3, 3) }, topK],
    [
      'more than its tokens',
      'SHARD_CONFIDENCE_INVALID',
      { ...confidence, confidence_offsets: offsets(0, 0, 0, 0, 3) },
      topK,
    ],
    ['a logprob above 0', 'SHARD_CONFIDENCE_INVALID', { ...confidence, token_logprobs: floats(-1, 0, 0.5) }, topK],
    [
      'an infinite logprob',
      'SHARD_CONFIDENCE_INVALID',
      { ...confidence, token_logprobs: floats(-Infinity, 0, 0) },
      topK,
    ],
    ['a confidence below 0', 'SHARD_CONFIDENCE_INVALID', { ...confidence, token_confidences: floats(1, -1, 1) }, topK],
    ['a confidence too few', 'SHARD_TENSOR_INVALID', { ...confidence, token_confidences: floats(1, 1) }, topK],
  ])('for %s: %s', async (_, code, tensors, metadata) => {
    await consistent(tensors, metadata);
    await expect(verifyShard(path)).rejects.toMatchObject({
      code,
      kind: 'input',
      where: expect.stringContaining(path),
    });
  });
});
