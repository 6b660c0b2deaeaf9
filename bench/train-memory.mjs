// Peak memory of training, for rows that fit into --memory and rows that do not:
//
//     pnpm build && node bench/train-memory.mjs [megabytes]
//
// For each width so many megabytes of float16 rows are made (1,000 unless told) and trained on for one epoch, plots and
// report included, in a process of its own for each line.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openShardWriter } from '../packages/core/dist/shards/index.js';
import { train } from '../packages/train/dist/index.js';

const RUNS = [
  { width: 1024, units: [512], memory: '110M' },
  { width: 1024, units: [512], memory: '200M' },
  { width: 1024, units: [512], memory: '8G' },
  { width: 2560, units: [], memory: '110M' },
  { width: 2560, units: [512], memory: '110M' },
  { width: 2560, units: [1024], memory: '110M' },
  { width: 4096, units: [64], memory: '110M' },
  { width: 4096, units: [512], memory: '110M' },
];
const STEPS_PER_TRACE = 50;
const TRACES_PER_QUESTION = 16;
const SELF = fileURLToPath(import.meta.url);

if (process.argv[2] === '--one') {
  const { units, memory, inputDir, outDir } = JSON.parse(process.argv[3]);
  await train({ trainDir: inputDir, outDir, hiddenUnits: units, memory: bytesOf(memory), epochs: 1, device: 'cpu' });
  console.log(process.resourceUsage().maxRSS * 1024);
} else {
  await measure(1e6 * Number(process.argv[2] ?? 1000));
}

async function measure(bytes) {
  const folder = mkdtempSync(join(tmpdir(), 'train-memory-'));
  try {
    const inputs = new Map();
    for (const { width, units, memory } of RUNS) {
      if (!inputs.has(width)) inputs.set(width, await makeShard(join(folder, `${width}`), width, bytes));
      const settings = { units, memory, inputDir: inputs.get(width), outDir: join(folder, 'out') };
      const peak = Number(execFileSync(process.execPath, [SELF, '--one', JSON.stringify(settings)]));
      const parameters = parameterCount([width, ...units, 1]);
      console.log(
        `D=${width}, hidden units ${units.join(',') || 'none'} (${(4e-6 * parameters).toFixed(1)} MB of parameters), ` +
          `--memory ${memory}: peak ${Math.round(peak / 1e6)} MB`,
      );
      rmSync(settings.outDir, { recursive: true });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Rows without meaning: only their bytes count here. */
async function makeShard(inputDir, width, bytes) {
  mkdirSync(inputDir);
  const digest = '0'.repeat(64);
  const origin = { model: 'sample', model_fingerprint: digest, input_fingerprint: digest };
  const metadata = { ...origin, dtype: 'float32', device: 'cpu', runtime: 'none' };
  const texts = { original_response: '', full_forward_text: '', ground_truth: '', extracted_answer: '' };
  const path = join(inputDir, 's_hiddenstates_0_1.safetensors');
  const writer = await openShardWriter(path, { layers: [1], hiddenSize: width, storage: 'F16', metadata });
  // float16 between 1 and 2
  const states = Uint16Array.from({ length: STEPS_PER_TRACE * width }, (_, i) => 0x3c00 + ((i * 7919) % 0x400));
  const traces = Math.round(bytes / (2 * width * STEPS_PER_TRACE));
  for (let trace = 0; trace < traces; trace++) {
    await writer.append({
      traceIndex: trace,
      isCorrect: trace % 3 === 0,
      inputIds: new Int32Array(3 * STEPS_PER_TRACE),
      stepPositions: Int32Array.from({ length: STEPS_PER_TRACE }, (_, i) => 3 * i + 2),
      stepRegions: new Uint8Array(STEPS_PER_TRACE).fill(1),
      texts: { question: `question ${Math.floor(trace / TRACES_PER_QUESTION)}`, ...texts },
      hiddenStates: new Map([[1, new Uint8Array(states.buffer)]]),
    });
  }
  await writer.seal();
  return inputDir;
}

function parameterCount(sizes) {
  return sizes.slice(1).reduce((sum, outputs, i) => sum + outputs * (sizes[i] + 1), 0);
}

function bytesOf(text) {
  return Number(text.slice(0, -1)) * { M: 1e6, G: 1e9 }[text.at(-1)];
}
