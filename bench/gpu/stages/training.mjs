// Training steps on the card, ours and PyTorch's by turns: rows/s from float16 rows in host memory.
// Ours by what one call of the engine takes: its state goes to the card and back with every call. One of these is what
// the command takes by itself.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { DEVICE, emit, HERE, inside, median, PYTHON, TINY } from '../kit.mjs';

const { createEngine, initialState } = await inside('train', 'engine/engine.js');
const { initialParameters } = await inside('train', 'engine/network.js');
const { RUNTIMES } = await inside('train', 'engine/runtime.js');
const { planMemory } = await inside('train', 'data/memory.js');

const WIDTH = TINY ? 64 : 4096;
const HIDDEN_UNITS = 512;
const BATCHES = TINY ? [16, 64] : [128, 8192];
const ROWS = TINY ? 512 : 131072;
const ROUNDS = TINY ? 2 : 5;
/** Bytes of rows in one call of the engine. */
const RUN_BYTES = TINY ? [2 ** 13] : [16, 64, 256].map((mebibytes) => mebibytes * 2 ** 20);
/** --memory with which all rows are kept. */
const MEMORY = 2e9;

const rows = new Uint16Array(ROWS * WIDTH);
// Half-precision bits of numbers between 1/8 and 1, of both signs.
for (let i = 0; i < rows.length; i++)
  rows[i] = 0x3000 + ((i * 2654435761) % 0x0c00) + (((i * 40503) >> 7) & 1) * 0x8000;
const labels = Float32Array.from({ length: ROWS }, (_, i) => Number(i % 5 < 2));

for (const batch of BATCHES) {
  const torch = { given: [], resident: [] };
  const chosen = chosenRows(batch);
  const runRows = RUN_BYTES.map((bytes) => batch * Math.max(1, Math.floor(bytes / (batch * WIDTH * 2))));
  const ours = Object.fromEntries([...runRows, chosen].map((rows) => [rows, []]));
  let unavailable;
  for (let round = 0; round < ROUNDS; round++) {
    for (const [rows, values] of Object.entries(ours)) values.push(await rowsPerSecond(batch, Number(rows)));
    const { status, stdout, stderr } = spawnSync(
      PYTHON,
      [join(HERE, 'training_reference.py'), WIDTH, ROWS, batch].map(String),
      { encoding: 'utf8' },
    );
    if (status !== 0) {
      unavailable = stderr.trim().split('\n').at(-1);
      continue;
    }
    for (const [key, value] of Object.entries(JSON.parse(stdout))) torch[key].push(value);
  }
  const figure = (values) => (values.length > 0 ? Math.round(median(values)) : null);
  emit({
    batch,
    width: WIDTH,
    ours: Object.fromEntries(Object.entries(ours).map(([rows, values]) => [runName(Number(rows)), figure(values)])),
    chosen: runName(chosen),
    pytorch_rows_given: figure(torch.given),
    pytorch_rows_resident: figure(torch.resident),
    ...(unavailable && { skipped: unavailable }),
  });
}

/** What the command gives its engine at a time, here where all rows are kept. */
function chosenRows(batchSize) {
  const plan = planMemory({ memoryBytes: MEMORY, rowBytes: WIDTH * 2, batchSize, rows: ROWS });
  return Math.min(ROWS, RUNTIMES.onnx.runs(DEVICE) === 'long' ? plan.longRunRows : plan.runRows);
}

function runName(rows) {
  return `${(rows * WIDTH * 2) / 2 ** 20} MiB a run`;
}

async function rowsPerSecond(batchSize, count) {
  const network = { inputSize: WIDTH, hiddenUnits: [HIDDEN_UNITS] };
  const adam = { learningRate: 1e-4, weightDecay: 1e-5, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  const loss = { kind: 'bce', positiveWeight: 1.5 };
  const options = { network, rowType: 'float16', adam, loss, dropout: 0, seed: 0, device: DEVICE };
  const engine = await createEngine('onnx', options, initialState(initialParameters(network, 0)));
  const run = (from) => ({
    batchSize,
    rows: { type: 'float16', count, data: rows.slice(from * WIDTH, (from + count) * WIDTH) },
    labels: labels.slice(from, from + count),
  });
  await engine.trainBatches(run(0)); // warms up
  const start = performance.now();
  let done = 0;
  let atWork;
  for (let from = 0; from + count <= ROWS; from += count) {
    const next = run(from);
    await atWork;
    atWork = engine.trainBatches(next);
    done += count;
  }
  await atWork;
  const taken = (performance.now() - start) / 1000;
  await engine.close();
  return done / taken;
}
