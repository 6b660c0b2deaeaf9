import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openShard, type Shard } from '@scorer/core/shards';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openModel } from '../open-model.js';
import { type ExtractOptions, extract } from './extract.js';

const MODEL = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));
const ONNX = fileURLToPath(new URL('../onnx/fixtures/optimum/model.onnx', import.meta.url));
const STEPS = fileURLToPath(new URL('./fixtures/steps.jsonl', import.meta.url));

const LOGPROBS = fileURLToPath(new URL('../logprobs/fixtures/forms.json', import.meta.url));

const TOLERANCE = 1e-4;

let folder: string;
let options: ExtractOptions;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'confidence-'));
  options = { model: MODEL, inputPath: STEPS, outputPath: join(folder, 'with'), device: 'cpu', confidence: {} };
});

afterEach(() => rm(folder, { recursive: true }));

async function open(given: ExtractOptions): Promise<Shard> {
  return openShard((await extract(given)).shards[0]!.path);
}

test('a shard with confidence has it for the tokens after each prompt, and else what one without has', async () => {
  const model = await openModel(MODEL, { device: 'cpu', confidence: { topK: 5 } });
  const [confident, plain] = [
    await open({ ...options, confidence: { topK: 5 } }),
    await open({ ...options, outputPath: join(folder, 'without'), confidence: undefined }),
  ];
  expect([confident.confidenceTopK, plain.confidenceTopK]).toEqual([5, undefined]);
  for (let trace = 0; trace < plain.traceCount; trace++) {
    const { confidence, ...rest } = await confident.readTrace(trace);
    const { confidence: none, ...same } = await plain.readTrace(trace);
    expect(rest).toEqual(same);
    expect(none).toBeUndefined();
    const tokens = confidence!.logprobs.length;
    const promptLength = rest.inputIds.length - tokens;
    const expected = await model.tokenConfidence({ inputIds: rest.inputIds, promptLength });
    for (const part of ['logprobs', 'confidences'] as const) {
      expect(expected[part].length).toBe(tokens);
      // Which chunks tokens are computed in depends on the wanted states, and with it the last digits.
      for (const [i, value] of expected[part].entries()) {
        expect(Math.abs(value - confidence![part][i]!)).toBeLessThan(TOLERANCE);
      }
    }
  }
  // The demo's reasoner answers what it was trained on, mostly as it was trained.
  const { logprobs } = (await confident.confidence(0))!;
  expect(logprobs.reduce((sum, value) => sum + value, 0) / logprobs.length).toBeGreaterThan(-1);
  await Promise.all([confident.close(), plain.close(), model.close()]);
});

test('identical traces, other orders and an interruption give the same confidence', async () => {
  const lines = (await readFile(STEPS, 'utf8')).trim().split('\n');
  const inputPath = join(folder, 'repeated.jsonl');
  await writeFile(inputPath, [lines[1], lines[0], lines[1], lines[2]].map((line) => `${line}\n`).join(''));
  const stop = new AbortController();
  const onProgress = ({ done }: { done: number }): void => {
    if (done === 2) stop.abort();
  };
  await expect(extract({ ...options, inputPath, onProgress, signal: stop.signal })).rejects.toThrow(/abort/i);
  const [resumed, single] = [
    await open({ ...options, inputPath }),
    await open({ ...options, outputPath: join(folder, 'x') }),
  ];
  for (const [trace, line] of [1, 0, 1, 2].entries()) {
    expect(await resumed.confidence(trace)).toEqual(await single.confidence(line));
  }
  await Promise.all([resumed.close(), single.close()]);
});

describe('a shard that stands is refused', () => {
  test.each<[name: string, first: ExtractOptions['confidence'], second: ExtractOptions['confidence'], what: string]>([
    ['without confidence where it is wanted', undefined, {}, 'choice of confidence (none)'],
    ['with confidence where none is wanted', {}, undefined, 'choice of confidence (top 20)'],
    ['over another number of tokens', { topK: 3 }, {}, 'choice of confidence (top 3)'],
    ["of the model where the records' is wanted", {}, { from: 'field' }, 'source of confidence (model)'],
  ])('%s', async (_, first, second, what) => {
    await extract({ ...options, confidence: first });
    await expect(extract({ ...options, confidence: second })).rejects.toMatchObject({
      code: 'OUTPUT_DIFFERS',
      what: expect.stringContaining(what),
    });
  });

  test("of the model, unfinished, where the records' is wanted", async () => {
    const stop = new AbortController();
    await expect(extract({ ...options, onProgress: () => stop.abort(), signal: stop.signal })).rejects.toThrow(
      /abort/i,
    );
    const other = extract({ ...options, confidence: { from: 'field' } });
    await expect(other).rejects.toMatchObject({ code: 'PARTIAL_MISMATCH', kind: 'usage' });
    expect((await extract(options)).stored).toBeLessThan(5);
  });
});

test('a shard says whether the model or the records gave its confidence', async () => {
  const { record, forms } = JSON.parse(await readFile(LOGPROBS, 'utf8'));
  const inputPath = join(folder, 'given.jsonl');
  await writeFile(inputPath, `${JSON.stringify({ ...record, logprobs: forms.means })}\n`);
  const [computed, given, none] = [
    await open(options),
    await open({ ...options, inputPath, outputPath: join(folder, 'given'), confidence: { from: 'field', topK: 3 } }),
    await open({ ...options, outputPath: join(folder, 'none'), confidence: undefined }),
  ];
  expect(computed.metadata.confidence_from).toBe('model');
  expect(given.metadata.confidence_from).toBe('field');
  expect(none.metadata).not.toHaveProperty('confidence_from');
  await Promise.all([computed.close(), given.close(), none.close()]);
});

describe('where there is no head, confidence is refused before anything is computed', () => {
  test('in an .onnx file', async () => {
    const refusal = { code: 'CONFIDENCE_UNAVAILABLE', kind: 'usage' };
    await expect(openModel(ONNX, { device: 'cpu', confidence: {} })).rejects.toMatchObject(refusal);
  });

  test('in a model that was opened without it', async () => {
    const model = await openModel(MODEL, { device: 'cpu' });
    await expect(model.tokenConfidence({ inputIds: [1, 2] })).rejects.toMatchObject({ code: 'CONFIDENCE_UNAVAILABLE' });
    await model.close();
  });
});
