import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TrainingResult } from './result.js';
import { writeReferenceShard } from './sample-shards.test.support.js';
import { train } from './train.js';

const SHARED = process.env.SCORER_SHARED ?? fileURLToPath(new URL('../../../../shared', import.meta.url));
const REASONER = join(SHARED, 'tiny-reasoner');

interface Reference {
  n_train: number;
  n_val: number;
  pos_val: number;
  train_loss: number[];
  val_per_epoch: { auc: number }[];
  final: { auc: number; f1: number };
}

describe.skipIf(!existsSync(REASONER))('the original on the tiny reasoner (skipped without ../shared)', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'reference-'));
    await writeReferenceShard(join(folder, 'train_200.safetensors'), REASONER);
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('with its settings, the split has its sizes, and loss and AUC by epoch are within the noise of seeds', async () => {
    const reference: Reference = JSON.parse(
      await readFile(join(REASONER, 'reference/train_200/metrics_split_by_step.json'), 'utf8'),
    );
    const seeds = [0, 1, 2];
    const results: TrainingResult[] = [];
    for (const seed of seeds) {
      const options = { trainDir: folder, outDir: folder, configName: `seed${seed}`, compat: 'original' } as const;
      results.push(await train({ ...options, seed, device: 'cpu' }));
    }
    const { split } = results[0]!;
    expect([split.train.steps, split.validation.steps, split.validation.positives]).toEqual([
      reference.n_train,
      reference.n_val,
      reference.pos_val,
    ]);
    const mean = (of: (result: TrainingResult) => number): number =>
      results.reduce((sum, result) => sum + of(result), 0) / seeds.length;
    // 307 validation steps: the AUC of one split has a standard error of 0.03.
    expect(Math.abs(mean(({ best }) => best.auc) - reference.final.auc)).toBeLessThan(0.04);
    for (const [epoch, loss] of reference.train_loss.entries()) {
      if (results.some(({ lossCurve }) => lossCurve.length <= epoch)) break;
      expect(Math.abs(mean(({ lossCurve }) => lossCurve[epoch]!) - loss), `loss, epoch ${epoch + 1}`).toBeLessThan(
        0.03,
      );
      const auc = reference.val_per_epoch[epoch]!.auc;
      expect(Math.abs(mean(({ perEpoch }) => perEpoch[epoch]!.auc) - auc), `AUC, epoch ${epoch + 1}`).toBeLessThan(
        0.05,
      );
    }
  });
});
