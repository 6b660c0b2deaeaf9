// Rows/s of training, this project's engines against PyTorch on the same machine, reading the data included:
//
//     pnpm build && SCORER_PYTHON=python3 node bench/train.mjs [rows] [rounds]
//
// All read the same float16 rows and take the same number of steps of the same network. They take turns, one process
// each, and the medians are shown. PyTorch, safetensors and numpy must be installed for it; TensorFlow.js takes part where
// tfjs-node is found (docs/tfjs.md), as with NODE_PATH=folder/node_modules.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeSafetensors } from '../packages/core/dist/safetensors/index.js';
import { openShardWriter } from '../packages/core/dist/shards/index.js';
import { epochBatches } from '../packages/train/dist/data/epoch-batches.js';
import { openTrainingData } from '../packages/train/dist/data/training-data.js';
import { createEngine, initialState } from '../packages/train/dist/engine/engine.js';
import { initialParameters } from '../packages/train/dist/engine/network.js';
import { installedBackends } from '../packages/train/dist/engine/tfjs-backend.js';
import { trainEpoch } from '../packages/train/dist/epoch.js';
import { trainOptionsSchema } from '../packages/train/dist/options.js';

const EPOCHS = 3;
const STEPS_PER_TRACE = 64;
const SELF = fileURLToPath(import.meta.url);
const TORCH = fileURLToPath(new URL('./train_torch.py', import.meta.url));
const hasNativeTensorflow = installedBackends('cpu').some(({ name }) => name === 'tensorflow');

if (process.argv[2] === '--one') console.log(await rowsPerSecond(...process.argv.slice(3)));
else await compare(Number(process.argv[2] ?? 16384), Number(process.argv[3] ?? 5));

async function compare(rows, rounds) {
  const python = process.env.SCORER_PYTHON ?? 'python3';
  const folder = mkdtempSync(join(tmpdir(), 'bench-train-'));
  try {
    for (const width of [2560, 4096]) {
      const { shards, plain } = await makeData(folder, rows, width);
      for (const batch of [128, 1024]) {
        const contenders = { onnx: [], torch: [], ...(hasNativeTensorflow && { tfjs: [] }) };
        for (let round = 0; round < rounds; round++) {
          for (const [name, speeds] of Object.entries(contenders)) {
            const torch = [python, [TORCH, plain, batch, EPOCHS]];
            const [command, args] = name === 'torch' ? torch : [process.execPath, [SELF, '--one', name, shards, batch]];
            speeds.push(Number(execFileSync(command, args, { stdio: ['ignore', 'pipe', 'ignore'] })));
          }
        }
        const { onnx, torch, tfjs } = contenders;
        const ratio = (median(onnx) / median(torch)).toFixed(2);
        const parts = [
          `onnx ${range(onnx)}`,
          `PyTorch ${range(torch)}`,
          `ratio ${ratio}`,
          tfjs && `tfjs ${range(tfjs)}`,
        ];
        console.log(`D=${width} batch ${batch}, rows/s: ${parts.filter(Boolean).join(', ')} (${rounds} rounds)`);
      }
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** From opening the shards to the end of the last epoch, as train_torch.py. */
async function rowsPerSecond(engineName, trainDir, batch) {
  const start = performance.now();
  const settings = trainOptionsSchema.parse({
    trainDir,
    batchSize: Number(batch),
    validationRatio: 0.001,
    split: 'step',
  });
  const data = await openTrainingData(settings);
  const network = { inputSize: data.source.width, hiddenUnits: [512] };
  const adam = { learningRate: 1e-4, weightDecay: 1e-5, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  const loss = { kind: 'bce', positiveWeight: 1.5 };
  const options = { network, rowType: 'float16', adam, loss, dropout: 0, seed: 0, device: 'cpu' };
  const engine = await createEngine(engineName, options, initialState(initialParameters(network, 0)));
  const batches = epochBatches(data, settings);
  let rows = 0;
  for (let epoch = 1; epoch <= EPOCHS; epoch++) {
    await trainEpoch(engine, batches.epoch(epoch), { onRows: (count) => (rows += count) });
  }
  const seconds = (performance.now() - start) / 1000;
  await engine.close();
  await data.close();
  return rows / seconds;
}

/** The same rows as a folder of one shard and as a plain file. */
async function makeData(folder, rows, width) {
  const shards = join(folder, `shards-${width}`);
  const plain = join(folder, `rows-${width}.safetensors`);
  mkdirSync(shards);
  const data = new Uint16Array(rows * width);
  // Half-precision bits of numbers between 1/8 and 1, of both signs.
  for (let i = 0; i < data.length; i++)
    data[i] = 0x3000 + ((i * 2654435761) % 0x0c00) + (((i * 40503) >> 7) & 1) * 0x8000;
  const traces = rows / STEPS_PER_TRACE;
  const isCorrect = (trace) => trace % 5 < 2;
  const labels = Float32Array.from({ length: rows }, (_, i) => Number(isCorrect(Math.floor(i / STEPS_PER_TRACE))));
  await writeSafetensors(plain, [
    { name: 'rows', dtype: 'F16', shape: [rows, width], data },
    { name: 'labels', dtype: 'F32', shape: [rows], data: labels },
  ]);

  const digest = '0'.repeat(64);
  const origin = { model: 'bench', model_fingerprint: digest, input_fingerprint: digest, dtype: 'float32' };
  const metadata = { ...origin, device: 'cpu', runtime: 'none' };
  const path = join(shards, 'bench.safetensors');
  const writer = await openShardWriter(path, { layers: [1], hiddenSize: width, storage: 'F16', metadata });
  const indices = Int32Array.from({ length: STEPS_PER_TRACE }, (_, i) => i);
  const texts = { question: 'q', original_response: '', full_forward_text: '', ground_truth: '', extracted_answer: '' };
  for (let trace = 0; trace < traces; trace++) {
    const size = STEPS_PER_TRACE * width;
    const states = new Uint8Array(data.buffer, trace * size * 2, size * 2);
    await writer.append({
      traceIndex: trace,
      isCorrect: isCorrect(trace),
      inputIds: indices,
      stepPositions: indices,
      stepRegions: new Uint8Array(STEPS_PER_TRACE).fill(1),
      texts,
      hiddenStates: new Map([[1, states]]),
    });
  }
  await writer.seal();
  return { shards, plain };
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function range(values) {
  const [least, middle, most] = [Math.min(...values), median(values), Math.max(...values)].map((x) => x.toFixed(0));
  return `${middle} (${least} to ${most})`;
}
