// Peak memory of one trace through a decoder in an .onnx file on the CPU, beside the estimate that a run prints.
// Usage: node bench/onnx-memory.mjs FILE.onnx TOKENS      (Linux, after pnpm build)
// Prints one JSON line. One process a setting, since the peak is the process's.
import { readFileSync } from 'node:fs';
import { loadOnnxModel } from '../packages/hidden-states/dist/onnx/load-onnx-model.js';
import { openOnnxDecoder } from '../packages/hidden-states/dist/onnx/onnx-decoder.js';
import { estimateOnnxMemory } from '../packages/hidden-states/dist/onnx/onnx-memory.js';

const [path, tokenText] = process.argv.slice(2);
const tokens = Number(tokenText);
const TOKENS_A_STEP = 28;
/** Below the vocabulary of any model. */
const TOKEN_IDS = 100;

/** Bytes of a line of /proc/self/status. */
const status = (key) =>
  Number(new RegExp(`${key}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
const mebibytes = (bytes) => Math.round(bytes / 2 ** 20);

const model = await loadOnnxModel(path);
const options = { layers: [model.spec.layerCount], device: 'cpu' };
const { model: base, perToken, perTokenPair = 0 } = estimateOnnxMemory(model, options);
const decoder = await openOnnxDecoder(model, { ...options, storage: 'F16' });
const loaded = status('VmRSS');
const inputIds = Int32Array.from({ length: tokens }, (_, i) => (i * 7919 + 13) % TOKEN_IDS);
const positions = inputIds.map((_, i) => i).filter((i) => i % TOKENS_A_STEP === TOKENS_A_STEP - 1);
// The first pass also fills the allocator; the second is what each further trace takes.
for (let pass = 0; pass < 2; pass++) await decoder.hiddenStates({ inputIds, positions });
console.log(
  JSON.stringify({
    tokens,
    loaded_mib: mebibytes(loaded),
    peak_mib: mebibytes(status('VmHWM')),
    estimate_mib: mebibytes(base + tokens * perToken + tokens ** 2 * perTokenPair),
  }),
);
await decoder.close();
