/**
 * The three command lines against the original Python pipeline on the tiny reasoner's traces. The reference lies in
 * the folder `shared` beside the repository (or SCORER_SHARED); without it these tests are skipped.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { f16ToF32, openSafetensors } from '@scorer/core/safetensors';
import { openShardFolder } from '@scorer/core/shards';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TINY = join(process.env.SCORER_SHARED ?? join(ROOT, '../shared'), 'tiny-reasoner');
const MODEL = join(TINY, 'model');
const LAST_LAYER = 5;

/** The original's validation AUC on all traces, split by step, and how far five seeds' mean may be from it. */
const ORIGINAL_AUC = 0.7225;
const AUC_TOLERANCE = 0.02;
const SEEDS = [0, 1, 2, 3, 4];

/** How far three seeds' mean may be from the original after each epoch: 3,697 steps leave an AUC to ± 0.009 by chance. */
const EPOCH_TOLERANCES = { auc: 0.025, f1: 0.04, loss: 0.015 };

/** Labels where ours differs from the original's lenient grader, by 1-based line: an unreduced fraction is no integer… */
const LABELS_THAT_DIFFER: ReadonlyMap<number, string> = new Map();

describe.skipIf(!existsSync(TINY))('parity with the original (skipped without ../shared/tiny-reasoner)', () => {
  let work: string;
  beforeAll(() => {
    work = mkdtempSync(join(tmpdir(), 'parity-'));
  });
  afterAll(() => rmSync(work, { recursive: true }));

  test('every field of every step record is equal', () => {
    preprocess('train_200');
    const ours = readLines(join(work, 'steps/train_200.jsonl'));
    const theirs = readLines(join(TINY, 'reference/preprocess/train_200.jsonl'));
    expect(ours.length).toBe(theirs.length);
    for (const [i, record] of ours.entries()) {
      const expected = LABELS_THAT_DIFFER.has(i + 1) ? { ...theirs[i], is_correct: !theirs[i]!.is_correct } : theirs[i];
      expect(record, `line ${i + 1}`).toEqual(expected);
      expect(Object.keys(record)).toEqual(Object.keys(theirs[i]!));
    }
  });

  test('every hidden state is within max(0.001, one float16 step), and every token is equal', async () => {
    preprocess('train_200');
    extract('train_200');
    const folder = await openShardFolder(join(work, 'states-train_200'));
    const shard = folder.shards[0]!;
    const reference = await openSafetensors(join(TINY, 'reference/hidden_states/train_200.safetensors'));
    const ours = floats(await shard.readRows(LAST_LAYER, 0, shard.stepCount));
    const theirs = floats(await reference.read('hidden'));
    expect(ours.length).toBe(theirs.length);

    let largest = 0;
    for (let i = 0; i < ours.length; i++) {
      const difference = Math.abs(ours[i]! - theirs[i]!);
      largest = Math.max(largest, difference);
      if (difference > Math.max(1e-3, float16Step(theirs[i]!)))
        expect.fail(`value ${i}: ${ours[i]} against ${theirs[i]}`);
    }
    console.log(`largest difference of ${ours.length} values: ${largest}`);
    await Promise.all([folder.close(), reference.close()]);
  });

  test('five seeds of a split by step have the original validation AUC on average', () => {
    const aucs = trainBySteps(SEEDS).map(({ auc }) => auc);
    const mean = aucs.reduce((sum, auc) => sum + auc, 0) / aucs.length;
    console.log(
      `validation AUC ${aucs.map((auc) => auc.toFixed(4)).join(', ')}; mean ${mean.toFixed(4)}, original ${ORIGINAL_AUC}`,
    );
    expect(Math.abs(mean - ORIGINAL_AUC)).toBeLessThan(AUC_TOLERANCE);
  });

  test('three seeds of it have the original loss, AUC and F1 after every epoch, on average', () => {
    const reference = JSON.parse(readFileSync(join(TINY, 'reference/train_full/metrics_split_by_step.json'), 'utf8'));
    const runs = trainBySteps(SEEDS.slice(0, 3)).map(
      ({ checkpoint_folder: folder }) => JSON.parse(readFileSync(join(folder, 'metrics.json'), 'utf8')).epochs,
    );
    for (const [i, { auc, f1 }] of reference.val_per_epoch.entries()) {
      const original = { auc, f1, loss: reference.train_loss[i] };
      const line: string[] = [];
      for (const name of ['loss', 'auc', 'f1'] as const) {
        const values = runs.map((epochs) => epochs[i][name] as number);
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        line.push(
          `${name} ${mean.toFixed(4)} (${values.map((value) => value.toFixed(4)).join(', ')}), original ${original[name].toFixed(4)}`,
        );
        expect(Math.abs(mean - original[name]), `${name}, epoch ${i + 1}`).toBeLessThan(EPOCH_TOLERANCES[name]);
      }
      console.log(`epoch ${i + 1}: ${line.join('; ')}`);
    }
  });

  /** Repeats what a test before has done. */
  function trainBySteps(seeds: readonly number[]): { auc: number; checkpoint_folder: string }[] {
    preprocess('train');
    extract('train');
    const flags = ['--train_dir', join(work, 'states-train'), '--split', 'step', '--regions', 'all', '--out_dir', work];
    return seeds.map((seed) => {
      const ofSeed = ['--seed', String(seed), '--config_name', `seed${seed}`];
      return run('train', [...flags, ...ofSeed]) as { auc: number; checkpoint_folder: string };
    });
  }

  function preprocess(name: string): void {
    const input = join(TINY, 'traces', `${name}.jsonl`);
    run('preprocess', ['--input_file', input, '--output_file', join(work, 'steps'), '--tokenizer_path', MODEL]);
  }

  function extract(name: string): void {
    const input = join(work, 'steps', `${name}.jsonl`);
    const output = join(work, `states-${name}`, name);
    run('hidden-states', ['--model_name', MODEL, '--input_path', input, '--output_path', output, '--device', 'cpu']);
  }
});

function run(stage: string, args: string[]): unknown {
  const bin = join(ROOT, 'packages', stage, 'bin', `scorer-${stage}.js`);
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args, '--json'], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}

function readLines(path: string): Record<string, unknown>[] {
  return readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

function floats(halves: Uint8Array): Float32Array {
  const bits = new Uint16Array(halves.slice().buffer);
  const values = new Float32Array(bits.length);
  f16ToF32(bits, values);
  return values;
}

/** Distance between a float16 value and the next one. */
function float16Step(value: number): number {
  const smallestNormal = 2 ** -14;
  return 2 ** (Math.floor(Math.log2(Math.max(Math.abs(value), smallestNormal))) - 10);
}
