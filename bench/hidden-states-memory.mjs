// Time and peak memory of one trace through a decoder on the CPU, beside the estimate that a run prints.
// Usage: node bench/hidden-states-memory.mjs MODEL_FOLDER TOKENS [last|all]      (Linux, after pnpm build)
// Prints one JSON line. One process a setting, since the peak is the process's.
import { readFileSync } from 'node:fs';
import { openDecoder } from '../packages/hidden-states/dist/decoder/decoder.js';
import { estimateMemory } from '../packages/hidden-states/dist/memory/estimate.js';
import { loadModel } from '../packages/hidden-states/dist/model/load-model.js';
import { parseLayers } from '../packages/hidden-states/dist/run/plan/layers.js';

const [folder, tokenText, layerText = 'last'] = process.argv.slice(2);
const tokens = Number(tokenText);
const TOKENS_A_STEP = 28;

/** Bytes of a line of /proc/self/status. */
const status = (key) =>
  Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
const mebibytes = (bytes) => Math.round(bytes / 2 ** 20);

const model = await loadModel(folder);
const layers = parseLayers(layerText, model.spec.layerCount);
const decoder = await openDecoder(model, { layers, storage: 'F16', compute: 'float32', device: 'cpu' });
const loaded = status('VmRSS');

const inputIds = Int32Array.from({ length: tokens }, (_, i) => (i * 7919 + 13) % model.spec.vocabularySize);
const positions = inputIds.map((_, i) => i).filter((i) => i % TOKENS_A_STEP === TOKENS_A_STEP - 1);
// The first pass also fills the allocator; the second is what each further trace takes.
await decoder.hiddenStates({ inputIds, positions });
const before = process.cpuUsage();
const start = performance.now();
await decoder.hiddenStates({ inputIds, positions });
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(before);

const estimate = estimateMemory(model, { layers, compute: 'float32', device: 'cpu' });
console.log(
  JSON.stringify({
    tokens,
    layers: layerText,
    tokens_per_second: Math.round(tokens / seconds),
    cpu_seconds: Math.round((user + system) / 1e5) / 10,
    loaded_mib: mebibytes(loaded),
    peak_mib: mebibytes(status('VmHWM')),
    estimate_mib: mebibytes(estimate.model + tokens * estimate.perToken),
  }),
);
await decoder.close();
