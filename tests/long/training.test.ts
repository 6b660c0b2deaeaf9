/** Training under what the short tests can't afford: processes killed at random moments, and shards larger than memory. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { randomStream } from '@scorer/core/random';
import { f32ToF16 } from '@scorer/core/safetensors';
import { openShardWriter } from '@scorer/core/shards';
import { afterAll, beforeAll, expect, test } from 'vitest';

const CLI = fileURLToPath(new URL('../../packages/train/bin/scorer-train.js', import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'training-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('killed at random moments and started again, a run ends with the bytes of one that was not', async () => {
  const shards = await writeShards('small', { traces: 320, steps: 40, hiddenSize: 64 });
  const settings = ['--epochs', '30', '--patience', '30', '--lr', '1e-3', '--dropout', '0.1', '--standardise'];
  const args = (name: string): string[] => [
    ...settings,
    '--train-dir',
    shards,
    '--out-dir',
    folder,
    '--config-name',
    name,
  ];
  const start = performance.now();
  expect(train(args('unbroken')).status).toBe(0);
  const epochMs = (performance.now() - start) / epochsOf('unbroken');

  const random = randomStream(0, 'kills');
  let kills = 0;
  while (!isFinished('killed')) {
    // At some moment after a few more epochs, so that on any machine there is progress and there are kills.
    const epochs = epochsOf('killed') + 2 + random.below(6);
    const child = spawn(process.execPath, [CLI, ...args('killed'), '--device', 'cpu', '--quiet']);
    const timer = setInterval(() => {
      if (epochsOf('killed') < epochs) return;
      clearInterval(timer);
      setTimeout(() => child.kill('SIGKILL'), random.uniform() * epochMs);
    }, 1);
    const [code, signal] = await once(child, 'close');
    clearInterval(timer);
    if (signal === 'SIGKILL') kills++;
    else expect(code).toBe(0);
  }
  console.log(`${kills} kills`);
  expect(kills).toBeGreaterThan(1);
  for (const name of ['scorer.safetensors', 'state.safetensors', 'metrics.json', 'metrics.jsonl', 'split.json']) {
    expect(readRun('killed', name), name).toEqual(readRun('unbroken', name));
  }
});

/** What the process may take beyond its budget: Node, ONNX Runtime, the network with its optimiser, copies under way. */
const OVERHEAD = 200e6;
const BUDGET = 200e6;

test(
  'shards ten times the memory: no more of it than budget and overhead, the same order, so the same scorer',
  async () => {
    const hiddenSize = 1024;
    const [traces, steps] = [20_000, 50];
    expect(traces * steps * hiddenSize * 2).toBeGreaterThan(10 * BUDGET);
    const shards = await writeShards('large', { traces, steps, hiddenSize });

    const once = ['--train-dir', shards, '--out-dir', folder, '--epochs', '1'];
    const little = train([...once, '--config-name', 'little', '--memory', `${BUDGET}`]);
    const much = train([...once, '--config-name', 'much', '--memory', '8G']);
    console.log(
      `peak RSS ${megabytes(little.peakBytes)} with ${megabytes(BUDGET)}, ${megabytes(much.peakBytes)} with 8 GB`,
    );
    for (const name of ['scorer.safetensors', 'metrics.json']) {
      expect(readRun('little', name), name).toEqual(readRun('much', name));
    }
    expect(little.peakBytes).toBeLessThan(BUDGET + OVERHEAD);

    const least = train([...once, '--config-name', 'least', '--memory', '50M', '--max-traces', '4000']);
    const told = 1e6 * Number(/the process takes about (\d+) MB/.exec(least.stderr)![1]);
    console.log(`peak RSS ${megabytes(least.peakBytes)} with 50 MB, which is told ${megabytes(told)}`);
    expect(least.peakBytes).toBeLessThan(1.1 * told);
    expect(least.peakBytes).toBeGreaterThan(0.7 * told);
    expect(little.stderr).not.toContain('the process takes about');
  },
  40 * 60_000,
);

function readRun(name: string, file: string): Buffer {
  return readFileSync(join(folder, 'checkpoints', name, file));
}

/** Epochs whose metrics are written. */
function epochsOf(name: string): number {
  const path = join(folder, 'checkpoints', name, 'metrics.jsonl');
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0;
}

function isFinished(name: string): boolean {
  const path = join(folder, 'checkpoints', name, 'metrics.json');
  return existsSync(path) && JSON.parse(readFileSync(path, 'utf8')).finished;
}

function train(args: string[]): { status: number | null; stderr: string; peakBytes: number } {
  const hook = join(folder, 'peak.mjs');
  writeFileSync(
    hook,
    `import { writeSync } from 'node:fs';
     process.on('exit', () => writeSync(2, 'peak ' + process.resourceUsage().maxRSS + '\\n'));`,
  );
  const nodeArgs = ['--import', hook, CLI, ...args, '--device', 'cpu', '--quiet'];
  const { status, stderr } = spawnSync(process.execPath, nodeArgs, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return { status, stderr, peakBytes: 1024 * Number(/peak (\d+)/.exec(stderr)![1]) };
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

const TRACES_PER_SHARD = 1000;

/** Rows of noise, drawn from a pool, of which the first values lean to the label. */
async function writeShards(
  name: string,
  { traces, steps, hiddenSize }: { traces: number; steps: number; hiddenSize: number },
): Promise<string> {
  const path = join(folder, name);
  mkdirSync(path);
  const random = randomStream(0, 'rows');
  const noise = (): number => random.uniform() + random.uniform() + random.uniform() - 1.5;
  const pool = Array.from({ length: 499 }, () => Float32Array.from({ length: hiddenSize }, noise));
  const digest = '0'.repeat(64);
  const origin = { model: 'sample', model_fingerprint: digest, input_fingerprint: digest };
  const metadata = { ...origin, dtype: 'float32', device: 'cpu', runtime: 'none' };
  const texts = { original_response: '', full_forward_text: '', ground_truth: '', extracted_answer: '' };

  for (let first = 0; first < traces; first += TRACES_PER_SHARD) {
    const options = { layers: [1], hiddenSize, storage: 'F16', metadata } as const;
    const writer = await openShardWriter(join(path, `s_${String(first).padStart(6, '0')}.safetensors`), options);
    for (let trace = first; trace < Math.min(traces, first + TRACES_PER_SHARD); trace++) {
      const question = Math.floor(trace / 16);
      const isCorrect = random.uniform() < 0.2 + 0.06 * (question % 10);
      const states = new Uint16Array(steps * hiddenSize);
      for (let step = 0; step < steps; step++) {
        const row = pool[random.below(pool.length)]!.slice();
        for (let d = 0; d < 8; d++) row[d]! += noise() + (isCorrect ? 0.3 : 0);
        f32ToF16(row, states.subarray(step * hiddenSize, (step + 1) * hiddenSize));
      }
      await writer.append({
        traceIndex: trace,
        isCorrect,
        inputIds: new Int32Array(3 * steps),
        stepPositions: Int32Array.from({ length: steps }, (_, i) => 3 * i + 2),
        stepRegions: new Uint8Array(steps).fill(1),
        texts: { question: `question ${question}`, ...texts },
        hiddenStates: new Map([[1, new Uint8Array(states.buffer)]]),
      });
    }
    await writer.seal();
  }
  return path;
}
