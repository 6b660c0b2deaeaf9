import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openShard, type TokenConfidence } from '@scorer/core/shards';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { extract } from '../run/extract.js';
import { logprobAt, readEngineLogprobs } from './engine-logprobs.js';

const MODEL = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));
/** One response of the demo's model with its log-probabilities as engines write them: tools/oracles/logprobs.py. */
const { record, forms } = JSON.parse(
  await readFile(fileURLToPath(new URL('./fixtures/forms.json', import.meta.url)), 'utf8'),
) as { record: Record<string, unknown>; forms: Record<string, unknown> };
const FORMS = Object.keys(forms);
const TOP_K = 3;
const TOLERANCE = 1e-4;

interface ChatEntry {
  token: string;
  logprob: number;
  top_logprobs: { token: string; logprob: number }[];
}

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logprobs-'));
});

afterEach(() => rm(folder, { recursive: true }));

async function confidenceOf(
  logprobs: unknown,
  topK = TOP_K,
  from: 'field' | 'model' = 'field',
): Promise<TokenConfidence> {
  const inputPath = join(folder, 'steps.jsonl');
  await writeFile(inputPath, `${JSON.stringify({ ...record, logprobs })}\n`);
  const { shards } = await extract({
    model: MODEL,
    inputPath,
    outputPath: join(folder, 'hs'),
    layers: '0',
    device: 'cpu',
    confidence: { from, topK },
    maxFailures: { count: 0 },
    overwrite: 'replace',
  });
  const shard = await openShard(shards[0]!.path);
  return shard.confidence(0).finally(() => shard.close()) as Promise<TokenConfidence>;
}

/** The chat form with token ids, changed. */
function chat(change: (entries: ChatEntry[]) => ChatEntry[]): { content: ChatEntry[] } {
  const { content } = structuredClone(forms.chat_token_ids) as { content: ChatEntry[] };
  return { content: change(content) };
}

describe("confidence from a record's logprobs is what the model gives", () => {
  test.each(FORMS)('in the form %s', async (form) => {
    const [given, computed] = [await confidenceOf(forms[form]), await confidenceOf(undefined, TOP_K, 'model')];
    expect(given.logprobs.length).toBe(computed.logprobs.length);
    for (const part of ['logprobs', 'confidences'] as const) {
      for (const [i, value] of given[part].entries())
        expect(Math.abs(value - computed[part][i]!)).toBeLessThan(TOLERANCE);
    }
  });

  test('where the engine gave more alternatives than are asked for', async () => {
    const [given, computed] = [await confidenceOf(forms.chat, 2), await confidenceOf(undefined, 2, 'model')];
    for (const [i, value] of given.confidences.entries()) {
      expect(Math.abs(value - computed.confidences[i]!)).toBeLessThan(TOLERANCE);
    }
  });
});

describe('logprobs that do not fit the trace fail it', () => {
  const token = (text: string): ChatEntry => ({
    token: text,
    logprob: -1,
    top_logprobs: Array(TOP_K).fill({ token: text, logprob: -1 }),
  });
  test.each<[name: string, code: string, logprobs: unknown]>([
    ['that are missing', 'LOGPROBS_MISSING', undefined],
    ['of fewer tokens', 'LOGPROBS_TOO_SHORT', chat((entries) => entries.slice(0, 60))],
    ['without a token in the middle', 'LOGPROBS_DISAGREE', chat((entries) => entries.toSpliced(30, 1))],
    ['with a token more before', 'LOGPROBS_DISAGREE', chat((entries) => [token('token_id:5'), ...entries])],
    ['of another text', 'LOGPROBS_DISAGREE', chat((entries) => entries.with(3, token('zzz')))],
    [
      'of another token among the alternatives alone',
      'LOGPROBS_DISAGREE',
      (forms.vllm as object[]).with(4, { 1: -1, 2: -2, 3: -3 }),
    ],
    [
      'with fewer alternatives',
      'LOGPROBS_TOO_FEW',
      chat((entries) => entries.with(2, { ...entries[2]!, top_logprobs: [{ token: 'a', logprob: -1 }] })),
    ],
    ['over another number of tokens', 'LOGPROBS_TOO_FEW', { ...(forms.means as object), top_k: 20 }],
    ['of parts of different lengths', 'LOGPROBS_INVALID', { ...(forms.means as object), token_logprobs: [-1] }],
    ['above 0', 'LOGPROBS_INVALID', chat((entries) => entries.with(2, { ...entries[2]!, logprob: 0.5 }))],
    ['without a number', 'LOGPROBS_INVALID', [{ 5: 'x', 6: 'y', 7: 'z' }]],
    ['of no known form', 'LOGPROBS_INVALID', 'x'],
  ])('%s', async (_, code, logprobs) => {
    await expect(confidenceOf(logprobs)).rejects.toThrow(new RegExp(`\\[${code}\\]`));
  });
});

test('of the alternatives the most probable count, and rounding above 0 is taken away', () => {
  const place = { 7: 0.001, 8: -9, 9: -2, 10: { logprob: -1 } };
  const { confidences, alternatives } = readEngineLogprobs([place], 2);
  expect(confidences[0]).toBeCloseTo((1 - 0.001) / 2, 6);
  expect(logprobAt(alternatives!, 0, 10)).toBe(-1);
  expect(logprobAt(alternatives!, 0, 11)).toBeUndefined();
  expect(Object.is(readEngineLogprobs([{ token: 'x', logprob: 0.001, top_logprobs: [0, 0] }], 2).logprobs[0], 0)).toBe(
    true,
  );
});
