import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSafetensors, type SafetensorsFile, writeSafetensors } from '@scorer/core/safetensors';
import type { TokenConfidence } from '@scorer/core/shards';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadModel } from '../model/load-model.js';
import { type Decoder, type DecoderOptions, openDecoder, type TokenSequence } from './decoder.js';

/**
 * Tiny random models, tied to their embeddings and not, in bfloat16, float16 and float32, with log-probabilities by
 * torch.log_softmax: tools/oracles/architectures.py and confidence.py. The longest traces go over several chunks.
 */
const FIXTURES = fileURLToPath(new URL('../run/fixtures/architectures', import.meta.url));
const models = readdirSync(FIXTURES).map((name) => [name, join(FIXTURES, name)] as const);
const VOCABULARY = 40;

/** Absolute; the logits of the tied models go up to 100. */
const TOLERANCE = 2e-4;
/** Of logits in float16. */
const HALF_TOLERANCE = 0.05;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'confidence-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the confidence of every token is that of log_softmax in PyTorch for', () => {
  test.each(models)('%s', async (_, path) => {
    for (const topK of path === models[0]![1] ? [20, 3] : [20]) {
      const decoder = await open(path, { confidence: { topK } });
      for (const { inputIds, expected } of await oracleOf(path, topK)) {
        for (const promptLength of [0, 30, inputIds.length - 1]) {
          const { confidence } = await decoder.hiddenStatesAndConfidence({
            inputIds,
            positions: new Int32Array(),
            promptLength,
          });
          const tokens = inputIds.length - Math.max(1, promptLength);
          expect(difference(confidence, tail(expected, tokens)), `after ${promptLength} tokens`).toBeLessThan(
            TOLERANCE,
          );
        }
      }
      await decoder.close();
    }
  });
});

describe('hidden states are the same bytes with confidence as without', () => {
  const sequence = (length: number, promptLength: number, ...positions: number[]): TokenSequence => ({
    inputIds: Int32Array.from({ length }, (_, i) => (i * i * 7 + 3 * i) % VOCABULARY),
    positions: Int32Array.from(positions),
    promptLength,
  });
  /** Where the last wanted state is, beside the prompt and the chunks of attention (128 tokens) and MLP (512). */
  const sequences = {
    'a long tail after the last step': sequence(1300, 0, 1, 99, 599),
    'a token after the last step': sequence(131, 0, 64, 129),
    'one token before the tail': sequence(300, 12, 12),
    'few tokens before the tail': sequence(900, 12, 3, 14, 140),
    'the last step in the prompt': sequence(200, 60, 8, 20),
    'no step': sequence(200, 60),
    'no tail': sequence(1000, 30, 5, 700, 999),
    'nothing after the prompt': sequence(50, 50, 4, 49),
  };
  test.each(models)('%s', async (_, path) => {
    for (const layers of path === models[0]![1] ? [[0], [1], [2, 3]] : [[1, 3]]) {
      const without = await open(path, { layers });
      const confident = await open(path, { layers, confidence: { topK: 20 } });
      for (const [name, sequence] of Object.entries(sequences)) {
        const expected = await without.hiddenStates(sequence);
        const { states } = await confident.hiddenStatesAndConfidence(sequence);
        expect(states, `layers ${layers}, ${name}`).toEqual(expected);
        expect(await confident.hiddenStates(sequence), `layers ${layers}, ${name}`).toEqual(expected);
      }
      await Promise.all([without.close(), confident.close()]);
    }
  });
});

describe('confidence', () => {
  const [, PATH] = models[0]!;

  test('has the same bytes whether a prompt is used again, was replaced in between, or is new', async () => {
    const decoder = await open(PATH, { confidence: { topK: 20 } });
    const sequence = (prompt: number, rest: number[]) => ({
      inputIds: Int32Array.of(...Array.from({ length: 12 }, (_, i) => (i * prompt) % VOCABULARY), ...rest),
      positions: Int32Array.of(3, 11, 11 + rest.length),
      promptLength: 12,
    });
    const [a, b, other] = [sequence(7, [1, 2, 3]), sequence(7, [30, 20, 10, 5]), sequence(11, [1, 2, 3])];
    const [first, after, replacing, again] = await Promise.all(
      [a, b, other, a].map((s) => decoder.hiddenStatesAndConfidence(s)),
    );
    expect(again).toEqual(first);
    expect(replacing).not.toEqual(first);
    const fresh = await open(PATH, { confidence: { topK: 20 } });
    expect(await fresh.hiddenStatesAndConfidence(b)).toEqual(after);
    await Promise.all([decoder.close(), fresh.close()]);
  });

  test('is over the whole vocabulary where that has fewer than k tokens', async () => {
    const [all, more] = await Promise.all(
      [VOCABULARY, 1000].map(async (topK) => {
        const decoder = await open(PATH, { confidence: { topK } });
        const inputIds = Int32Array.of(3, 1, 4, 1, 5, 9, 2, 6);
        return decoder
          .hiddenStatesAndConfidence({ inputIds, positions: new Int32Array() })
          .finally(() => decoder.close());
      }),
    );
    expect(more).toEqual(all);
  });

  test('of a trace that is its prompt alone, of one token and of none is empty', async () => {
    const decoder = await open(PATH, { confidence: { topK: 20 } });
    for (const [length, promptLength] of [
      [5, 5],
      [1, 0],
      [0, 0],
    ] as const) {
      const sequence = { inputIds: new Int32Array(length), positions: new Int32Array(), promptLength };
      const { confidence } = await decoder.hiddenStatesAndConfidence(sequence);
      expect(confidence).toEqual({ logprobs: new Float32Array(), confidences: new Float32Array() });
    }
    await decoder.close();
  });

  test('in float16 is computed from the rounded logits in float32', async () => {
    const path = join(FIXTURES, 'mistral-sliding');
    const decoder = await open(path, { compute: 'float16', confidence: { topK: 20 } });
    const { inputIds, expected } = (await oracleOf(path, 20))[0]!;
    const { confidence } = await decoder.hiddenStatesAndConfidence({ inputIds, positions: new Int32Array() });
    expect(difference(confidence, expected)).toBeLessThan(HALF_TOLERANCE);
    await decoder.close();
  });

  test('with a layer in memory at a time has the bytes of the whole model', async () => {
    const model = await loadModel(PATH);
    const groups = Array.from({ length: model.spec.layerCount }, (_, i) => ({ first: i + 1, last: i + 1 }));
    const grouping = { groups, batchTokens: 1000, memory: 0, path: join(folder, 'store') };
    const [whole, grouped] = await Promise.all(
      [undefined, grouping].map((grouping) => open(PATH, { layers: [2], grouping, confidence: { topK: 20 } })),
    );
    const inputIds = Int32Array.from({ length: 900 }, (_, i) => (i * i) % VOCABULARY);
    for (const last of [20, 600]) {
      const sequence = { inputIds, positions: Int32Array.of(4, last), promptLength: 12 };
      expect(await grouped!.hiddenStatesAndConfidence(sequence)).toEqual(
        await whole!.hiddenStatesAndConfidence(sequence),
      );
    }
    await Promise.all([whole!.close(), grouped!.close()]);
  });

  test('is refused for a model without its head, and by the name of what changes its logits', async () => {
    const withConfig = (changes: object): string => {
      const copy = mkdtempSync(join(folder, 'model-'));
      cpSync(PATH, copy, { recursive: true });
      const config = JSON.parse(readFileSync(join(copy, 'config.json'), 'utf8'));
      writeFileSync(join(copy, 'config.json'), JSON.stringify({ ...config, ...changes }));
      return copy;
    };
    const confidence = { topK: 20 };
    const headless = withConfig({});
    await removeTensor(join(headless, 'model.safetensors'), 'lm_head.weight');
    await expect(open(headless, { confidence })).rejects.toMatchObject({ code: 'HEAD_MISSING' });
    await (await open(headless, {})).close();

    const capped = withConfig({ final_logit_softcapping: 30, lm_head_bias: true });
    const ignoreKeys = ['final_logit_softcapping'];
    await expect(open(capped, { confidence }, ignoreKeys)).rejects.toMatchObject({
      code: 'UNSUPPORTED_CONFIG',
      what: expect.stringContaining('final_logit_softcapping, lm_head_bias'),
    });
  });
});

async function open(path: string, options: Partial<DecoderOptions>, ignoreKeys: string[] = []): Promise<Decoder> {
  const model = await loadModel(path, { ignoreKeys });
  return openDecoder(model, { layers: [1], storage: 'F32', compute: 'float32', device: 'cpu', threads: 1, ...options });
}

/** Of every length the tokens, and the confidence of those after the first. */
async function oracleOf(path: string, topK: number): Promise<{ inputIds: Int32Array; expected: TokenConfidence }[]> {
  const files = ['states', 'confidence'].map((name) => openSafetensors(join(path, `${name}.safetensors`)));
  const [states, oracle] = (await Promise.all(files)) as [SafetensorsFile, SafetensorsFile];
  const read = async (file: SafetensorsFile, name: string): Promise<ArrayBuffer> =>
    (await file.read(name)).slice().buffer;
  const lengths = [...states.tensors.keys()].flatMap((name) => /^input_ids\.(\d+)$/.exec(name)?.[1] ?? []);
  const traces = await Promise.all(
    lengths.map(async (length) => ({
      inputIds: new Int32Array(await read(states, `input_ids.${length}`)),
      expected: {
        logprobs: new Float32Array(await read(oracle, `logprobs.${length}`)),
        confidences: new Float32Array(await read(oracle, `confidences.${topK}.${length}`)),
      },
    })),
  );
  await Promise.all([states.close(), oracle.close()]);
  return traces;
}

function tail({ logprobs, confidences }: TokenConfidence, tokens: number): TokenConfidence {
  const from = logprobs.length - tokens;
  return { logprobs: logprobs.subarray(from), confidences: confidences.subarray(from) };
}

/** The largest; infinite where the lengths differ. */
function difference(ours: TokenConfidence, theirs: TokenConfidence): number {
  const of = (a: Float32Array, b: Float32Array): number =>
    a.length === b.length ? a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0) : Infinity;
  return Math.max(of(ours.logprobs, theirs.logprobs), of(ours.confidences, theirs.confidences));
}

async function removeTensor(path: string, removed: string): Promise<void> {
  const file = await openSafetensors(path);
  const tensors: Parameters<typeof writeSafetensors>[1][number][] = [];
  for (const { name, dtype, shape } of file.tensors.values()) {
    if (name !== removed) tensors.push({ name, dtype, shape, data: (await file.read(name)).slice() });
  }
  await file.close();
  await writeSafetensors(path, tensors);
}
