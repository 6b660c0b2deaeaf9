// What the stages share: where the packages lie, what they print, the models, the card.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync, statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const HERE = dirname(fileURLToPath(import.meta.url));
export const DEVICE = process.env.SCORER_DEVICE ?? 'cuda';
export const SCALE = process.env.SCORER_SCALE ?? 'full';
export const WORK = process.env.SCORER_WORK ?? join(HERE, '../out/gpu/work');
export const PYTHON = process.env.SCORER_PYTHON ?? 'python3';
export const TINY = SCALE === 'tiny';

/** Arithmetic: what a user of the device gets by default. */
export const COMPUTE = DEVICE === 'cuda' ? 'bfloat16' : 'float32';

/** Dense bf16 tensor throughput in the data sheets of the H100 SXM and the H200. */
export const PEAK_BF16_FLOPS = 989.4e12;

/** Distance of step ends in all measurements of speed and parity. */
const TOKENS_A_STEP = 30;

/** One result, as a JSON line; run.mjs collects them. */
export function emit(result) {
  console.log(JSON.stringify(result));
}

/** In the assembled kit the packages are those of the deployed demo, in a checkout the workspace's. */
export function packageFolder(name) {
  const deployed = join(HERE, '../app/node_modules/@scorer', name);
  return realpathSync(existsSync(deployed) ? deployed : join(HERE, '../../packages', name));
}

/** The demo's folder, with its model and traces. */
export function demoFolder() {
  const deployed = join(HERE, '../app');
  return existsSync(deployed) ? deployed : join(HERE, '../../apps/demo');
}

/** A module inside a package, exported or not. */
export function inside(name, path) {
  return import(pathToFileURL(join(packageFolder(name), 'dist', path)).href);
}

/** A subpath of core, as the stage package has it. */
export function core(subpath, of = 'hidden-states') {
  const require = createRequire(join(packageFolder(of), 'package.json'));
  return import(pathToFileURL(require.resolve(`@scorer/core/${subpath}`)).href);
}

const RUNTIME = 'onnxruntime-node';

/** onnxruntime-node itself, for what core's sessions do not offer (profiling). */
export function onnxruntime() {
  const require = createRequire(join(packageFolder('hidden-states'), 'package.json'));
  return require(RUNTIME);
}

export function bin(name) {
  return join(packageFolder(name), 'bin', `scorer-${name}.js`);
}

/** Runs one of our command lines. @returns its JSON */
export function command(name, args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin(name), ...args, '--json', '--quiet'], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`scorer-${name} ${args.join(' ')}: ${stderr.slice(-2000)}`);
  return JSON.parse(stdout);
}

/** Whether Python has PyTorch and transformers; says so in the results where not. */
export function hasTransformers() {
  const { status } = spawnSync(PYTHON, ['-c', 'import torch, transformers']);
  if (status !== 0) emit({ skipped: `${PYTHON} has no PyTorch or transformers` });
  return status === 0;
}

const MODEL_BYTES = 32 * 2 ** 30;

/** Folder of a model of models.json, made now if need be; others go where the disk is too small for all. */
export function makeModel(name) {
  const models = join(WORK, 'models');
  const folder = join(models, name);
  if (existsSync(join(folder, 'config.json'))) return folder;
  mkdirSync(models, { recursive: true });
  for (const other of readdirSync(models)) {
    const { bavail, bsize } = statfsSync(models);
    if (TINY || bavail * bsize > MODEL_BYTES) break;
    rmSync(join(models, other), { recursive: true });
  }
  const start = performance.now();
  execFileSync(PYTHON, [join(HERE, 'make_model.py'), SCALE, name, folder], { stdio: ['ignore', 2, 2] });
  emit({ made: name, seconds: seconds(start) });
  return folder;
}

/** Ids that any vocabulary has, and the positions of step ends. */
export function sequence(tokens, vocabularySize) {
  const inputIds = Int32Array.from({ length: tokens }, (_, i) => (i * 7919 + 13) % vocabularySize);
  const steps = Math.floor(tokens / TOKENS_A_STEP);
  const positions = Int32Array.from({ length: steps }, (_, i) => (i + 1) * TOKENS_A_STEP - 1);
  return { inputIds, positions };
}

/**
 * transformers in a process of its own, reference.py, for as long as `use` takes. `ask` gives its answer to a request,
 * which has an `error` where it failed.
 */
export async function withReference(use) {
  const child = spawn(PYTHON, ['-u', join(HERE, 'reference.py')], { stdio: ['pipe', 'pipe', 2] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const closed = new Promise((resolve) => child.once('close', resolve));
  const ask = async (request) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error('reference.py ended');
    return JSON.parse(value);
  };
  try {
    return await use(ask);
  } finally {
    child.stdin.end();
    await closed;
  }
}

/**
 * Multiplications and additions of one pass without lm_head: 2·T for every weight of the projections, and for causal
 * attention 2·T·(T + 1)·H·d a layer (half of T² for QKᵀ and for PV each). The same for both sides, though we leave out
 * the last layer's projections where no row is wanted.
 */
export function forwardFlops(
  { hiddenSize: D, intermediateSize: I, layerCount, headCount: H, keyValueHeadCount: K, headSize: d },
  T,
) {
  const weights = D * d * (2 * H + 2 * K) + 3 * D * I;
  return layerCount * (2 * T * weights + 2 * T * (T + 1) * H * d);
}

const NVIDIA_SMI = 'nvidia-smi';

/** MiB that a process, or all of them, have on the card; null without nvidia-smi. */
export function gpuMebibytes(pid) {
  const query = pid === undefined ? '--query-gpu=memory.used' : '--query-compute-apps=pid,used_memory';
  const { status, stdout } = spawnSync(NVIDIA_SMI, [query, '--format=csv,noheader,nounits'], { encoding: 'utf8' });
  if (status !== 0) return null;
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.split(',').map(Number));
  if (pid === undefined) return rows[0]?.[0] ?? null;
  return rows.find(([owner]) => owner === pid)?.[1] ?? null;
}

/** What the card is asked for every 100 ms while something runs: utilisation in per cent, MiB in use. */
export function watchGpu() {
  const fields = ['--query-gpu=utilization.gpu,memory.used', '--format=csv,noheader,nounits', '-lms', '100'];
  const child = spawn(NVIDIA_SMI, fields, { stdio: ['ignore', 'pipe', 'ignore'] });
  const samples = [];
  child.on('error', () => {});
  createInterface({ input: child.stdout }).on('line', (line) => samples.push(line.split(',').map(Number)));
  return () => {
    child.kill();
    return samples;
  };
}

export function seconds(start) {
  return +((performance.now() - start) / 1000).toFixed(4);
}

export function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** Of two arrays of the same length: 1 − cosine, and the size of the difference against b's; 'NaN' where there is none. */
export function distance(a, b) {
  let [dot, aa, bb, dd] = [0, 0, 0, 0];
  for (let i = 0; i < b.length; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
    dd += (a[i] - b[i]) ** 2;
  }
  // JSON has no NaN: it would arrive as null, and null is less than any bound.
  const short = (value) => (Number.isFinite(value) ? Number(value.toExponential(3)) : 'NaN');
  return { one_minus_cosine: short(1 - dot / Math.sqrt(aa * bb)), relative: short(Math.sqrt(dd / bb)) };
}

export function readFloats(path) {
  const bytes = readFileSync(path);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
