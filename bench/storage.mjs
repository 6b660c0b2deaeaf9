// Shards and files, this project against Python safetensors and numpy on the same machine:
//
//     pnpm build && SCORER_PYTHON=python3 node bench/storage.mjs [gigabytes] [rounds] [task]
//
// A set of shards of that size (4 GB unless told, Qwen3-4B's hidden size) is made in SCORER_BENCH_FOLDER or the
// system's folder for temporary files. The two sides take turns, one process a measurement; shown are medians and the
// greatest peak of memory. "cold" measurements begin with the set dropped from the page cache. Python needs safetensors
// and numpy. The speeds of making and checking shards have no counterpart there and stand alone.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAtomicFile } from '../packages/core/dist/files/index.js';
import { readJsonl, readLines } from '../packages/core/dist/jsonl/index.js';
import { f16ToF32, openSafetensors, planSafetensors } from '../packages/core/dist/safetensors/index.js';
import { openShardDataset, openShardWriter, verifyShard } from '../packages/core/dist/shards/index.js';

const HIDDEN_SIZE = 2560;
const ROW_BYTES = 2 * HIDDEN_SIZE;
const STEPS_PER_TRACE = 64;
const SHARDS = 8;
const LAYER = 36;
const BATCH_ROWS = 128;
const BLOCK_ROWS = 64;
/** Rows that a measurement of batches takes: single rows from a disk are slow. */
const MANY_ROWS = 262_144;
const FEW_ROWS = 32_768;
const COPY_BYTES = 4 * 1024 ** 2;
const SELF = fileURLToPath(import.meta.url);
const PYTHON = fileURLToPath(new URL('./storage.py', import.meta.url));

/** What is measured on both sides; `cold` drops the set from the page cache first. */
const TASKS = [
  { name: 'sequential write', task: 'write' },
  { name: 'sequential read, warm', task: 'read', warm: true, dd: true },
  { name: 'sequential read, cold', task: 'read', cold: true, dd: true },
  { name: 'random 128-row batches to fp32, warm', task: 'random', rows: MANY_ROWS, warm: true },
  { name: 'random 128-row batches to fp32, cold', task: 'random', rows: FEW_ROWS, cold: true },
  { name: 'shuffled blocks of 64 rows to fp32, warm', task: 'blocks', rows: MANY_ROWS, warm: true },
  { name: 'shuffled blocks of 64 rows to fp32, cold', task: 'blocks', rows: MANY_ROWS, cold: true },
  { name: 'fp16 to fp32 in memory', task: 'convert' },
  { name: 'JSON Lines', task: 'jsonl' },
  { name: 'lines alone', task: 'lines' },
];

const OURS = {
  /** A file of one tensor, synced; 1 GB or the size of the set, whichever is less. */
  async write({ folder, bytes }) {
    const size = Math.min(bytes, 2 ** 30);
    const chunk = new Uint8Array(COPY_BYTES).fill(1);
    return timed('MB', async () => {
      const { header } = planSafetensors([{ name: 'x', dtype: 'U8', shape: [size] }]);
      const file = await createAtomicFile(join(folder, 'written.safetensors'));
      await file.write(header);
      for (let done = 0; done < size; done += chunk.length) await file.write(chunk.subarray(0, size - done));
      await file.commit();
      return size / 1e6;
    });
  },
  async read({ set }) {
    return timed('MB', async () => {
      let bytes = 0;
      for (const path of shardsOf(set)) {
        const file = await openSafetensors(path);
        for await (const piece of file.stream(`hidden_states.${LAYER}`)) bytes += piece.length;
        await file.close();
      }
      return bytes / 1e6;
    });
  },
  random: (task) => batches({ ...task, blockRows: 1 }),
  blocks: (task) => batches({ ...task, blockRows: BLOCK_ROWS }),
  async convert() {
    const halves = new Uint16Array(BATCH_ROWS * HIDDEN_SIZE).map((_, i) => (i * 40503) & 0xbbff);
    const floats = new Float32Array(halves.length);
    const rounds = 1000;
    for (let i = 0; i < 100; i++) f16ToF32(halves, floats);
    return timed('rows', async () => {
      for (let i = 0; i < rounds; i++) f16ToF32(halves, floats);
      return rounds * BATCH_ROWS;
    });
  },
  async jsonl({ folder }) {
    return timed('lines', async () => {
      let count = 0;
      for await (const { error } of readJsonl(join(folder, 'lines.jsonl'))) if (!error) count += 1;
      return count;
    });
  },
  async lines({ folder }) {
    return timed('lines', async () => {
      let count = 0;
      for await (const { error } of readLines(join(folder, 'lines.jsonl'))) if (!error) count += 1;
      return count;
    });
  },
};

/** The first `rows` of an epoch; each batch widened, and its first number used. */
async function batches({ set, rows, blockRows }) {
  const dataset = await openShardDataset(set);
  const floats = new Float32Array(BATCH_ROWS * HIDDEN_SIZE);
  const result = await timed('rows', async () => {
    let count = 0;
    let sum = 0;
    for await (const batch of dataset.batches({ layer: LAYER, batchRows: BATCH_ROWS, blockRows, seed: 0 })) {
      const { buffer, byteOffset, length } = batch.states;
      f16ToF32(new Uint16Array(buffer, byteOffset, length / 2), floats);
      sum += floats[0];
      count += batch.rows.length;
      if (count >= rows) break;
    }
    if (Number.isNaN(sum)) throw new Error('a hidden state is not finite');
    return count;
  });
  await dataset.close();
  return result;
}

async function timed(unit, action) {
  const start = performance.now();
  const amount = await action();
  return { unit, amount, seconds: (performance.now() - start) / 1000 };
}

async function compare(bytes, rounds, only) {
  const folder = mkdtempSync(join(process.env.SCORER_BENCH_FOLDER ?? tmpdir(), 'bench-storage-'));
  try {
    const set = join(folder, 'set');
    mkdirSync(set);
    await makeSet(set, bytes);
    writeLines(join(folder, 'lines.jsonl'));
    for (const { name, task, rows, warm, cold, dd } of TASKS) {
      if (only && !name.startsWith(only)) continue;
      const input = JSON.stringify({ folder, set, bytes, rows });
      const sides = {
        ours: () => JSON.parse(execFileSync(process.execPath, [SELF, '--one', task, input])),
        ...pythonSides(task, input),
        ...(dd && { dd: () => ddRead(set) }),
      };
      if (warm) ddRead(set);
      const results = Object.fromEntries(Object.keys(sides).map((side) => [side, []]));
      for (let round = 0; round < rounds; round++) {
        for (const [side, run] of Object.entries(sides)) {
          if (cold) dropFromCache(set);
          results[side].push(run());
        }
      }
      console.log(`${name}: ${describe(results)}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** For random rows numpy's own memory map is the faster way in Python, and safetensors' slices the documented one. */
function pythonSides(task, input) {
  const python = process.env.SCORER_PYTHON ?? 'python3';
  const run = (name) => () => JSON.parse(execFileSync(python, [PYTHON, name, input]));
  if (task === 'random' || task === 'blocks') {
    return { safetensors: run(`${task}-safetensors`), 'numpy memmap': run(`${task}-memmap`) };
  }
  return { Python: run(task) };
}

function ddRead(set) {
  const start = performance.now();
  for (const path of shardsOf(set)) execFileSync('dd', [`if=${path}`, 'of=/dev/null', 'bs=4M', 'status=none']);
  return { unit: 'MB', amount: sizeOf(set) / 1e6, seconds: (performance.now() - start) / 1000 };
}

function dropFromCache(set) {
  for (const path of shardsOf(set)) execFileSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']);
}

function describe(results) {
  const speed = ({ amount, seconds }) => amount / seconds;
  const { unit } = results.ours[0];
  const ours = median(results.ours.map(speed));
  const parts = Object.entries(results).map(([side, runs]) => {
    const speeds = runs.map(speed);
    const peak = runs[0].peakMb ? `, peak ${Math.max(...runs.map(({ peakMb }) => peakMb)).toFixed(0)} MB` : '';
    const ratio = side === 'ours' ? '' : `, ratio ${(ours / median(speeds)).toFixed(2)}`;
    const range = `${Math.min(...speeds).toFixed(0)} to ${Math.max(...speeds).toFixed(0)}`;
    return `${side} ${median(speeds).toFixed(0)} ${unit}/s (${range}${peak}${ratio})`;
  });
  return parts.join('; ');
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** Writes the set and tells how fast: traces appended one at a time, each synced, then the seal, then verify. */
async function makeSet(set, bytes) {
  const traces = Math.ceil(bytes / SHARDS / ROW_BYTES / STEPS_PER_TRACE);
  const totals = { append: 0, seal: 0, verify: 0 };
  for (let shard = 0; shard < SHARDS; shard++) {
    const path = join(set, `raw_hiddenstates_${shard * traces}_${(shard + 1) * traces}.safetensors`);
    const writer = await openShardWriter(path, SHAPE);
    totals.append += await secondsOf(async () => {
      for (let i = 0; i < traces; i++) await writer.append(traceOf(shard * traces + i));
    });
    totals.seal += await secondsOf(() => writer.seal());
    totals.verify += await secondsOf(() => verifyShard(path));
  }
  const size = sizeOf(set) / 1e6;
  const speed = (seconds) => `${(size / seconds).toFixed(0)} MB/s`;
  const { append, seal, verify } = totals;
  console.log(`set of ${(size / 1e3).toFixed(2)} GB, ${SHARDS * traces} traces of ${STEPS_PER_TRACE} steps:`);
  console.log(`  append, each trace synced ${speed(append)}; seal ${speed(seal)}; verify ${speed(verify)}`);

  const buffer = new Uint8Array(COPY_BYTES);
  const rounds = 100;
  const hashing = await secondsOf(() => {
    const hash = createHash('sha256');
    for (let i = 0; i < rounds; i++) hash.update(buffer);
    return hash.digest();
  });
  const hashSpeed = (rounds * COPY_BYTES) / 1e6 / hashing;
  const share = (seconds) => `${((100 * size) / hashSpeed / seconds).toFixed(0)} %`;
  console.log(`  SHA-256 ${hashSpeed.toFixed(0)} MB/s: ${share(seal)} of seal, ${share(verify)} of verify`);
}

const SHAPE = {
  layers: [LAYER],
  hiddenSize: HIDDEN_SIZE,
  storage: 'F16',
  metadata: {
    model: 'bench',
    model_fingerprint: '1'.repeat(64),
    input_fingerprint: '2'.repeat(64),
    dtype: 'float32',
    device: 'cpu',
    runtime: 'none',
  },
};

/** Finite halves that differ from trace to trace. */
const STATES = new Uint16Array(STEPS_PER_TRACE * HIDDEN_SIZE).map((_, i) => (i * 40503) & 0xbbff);

function traceOf(traceIndex) {
  STATES[0] = traceIndex & 0x3ff;
  return {
    traceIndex,
    isCorrect: traceIndex % 2 === 0,
    inputIds: new Int32Array(2 * STEPS_PER_TRACE),
    stepPositions: Int32Array.from({ length: STEPS_PER_TRACE }, (_, i) => 2 * i),
    stepRegions: new Uint8Array(STEPS_PER_TRACE).fill(1),
    texts: {
      question: `question ${traceIndex >> 3}`,
      original_response: '',
      full_forward_text: '',
      ground_truth: '',
      extracted_answer: '',
    },
    hiddenStates: new Map([[LAYER, new Uint8Array(STATES.buffer)]]),
  };
}

async function secondsOf(action) {
  return (await timed('', action)).seconds;
}

/** 200 MB of lines of 8 kB. */
function writeLines(path) {
  const line = (i) =>
    JSON.stringify({ question: `question ${i}`, response: 'π is not 3. '.repeat(600), ground_truth: `${i}` });
  const lines = Array.from({ length: 1000 }, (_, i) => `${line(i)}\n`).join('');
  writeFileSync(path, lines.repeat(25));
}

function shardsOf(set) {
  return readdirSync(set).map((name) => join(set, name));
}

function sizeOf(set) {
  return shardsOf(set).reduce((sum, path) => sum + statSync(path).size, 0);
}

if (process.argv[2] === '--one') {
  const result = await OURS[process.argv[3]](JSON.parse(process.argv[4]));
  console.log(JSON.stringify({ ...result, peakMb: process.resourceUsage().maxRSS / 1024 }));
} else {
  await compare(Number(process.argv[2] ?? 4) * 1e9, Number(process.argv[3] ?? 5), process.argv[4]);
}
