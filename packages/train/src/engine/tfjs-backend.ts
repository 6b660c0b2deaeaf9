import { createRequire } from 'node:module';
import util from 'node:util';
import { ScorerError } from '@scorer/core/errors';
import type { Device } from '@scorer/core/onnx';

/** The core API, which every TensorFlow.js package exports. */
export type Tensorflow = typeof import('@tensorflow/tfjs-core');

/** A way to run TensorFlow.js in Node, from what a user may have installed. */
interface Backend {
  /** Packages to load, the first of which exports the API. */
  readonly packages: readonly [string, ...string[]];
  /** TensorFlow.js's own name of it. */
  readonly name: 'tensorflow' | 'wasm' | 'cpu';
  readonly device: Device;
  /** How fast it trains, beside the engine onnx on the same processor (docs/tfjs.md). */
  readonly speed: string;
}

/** The fastest first. */
const BACKENDS: readonly Backend[] = [
  {
    packages: ['@tensorflow/tfjs-node-gpu'],
    name: 'tensorflow',
    device: 'cuda',
    speed: 'native code for CUDA',
  },
  {
    packages: ['@tensorflow/tfjs-node'],
    name: 'tensorflow',
    device: 'cpu',
    speed: 'native code for the processor, about half the speed of --engine onnx',
  },
  {
    packages: ['@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm'],
    name: 'wasm',
    device: 'cpu',
    speed: 'WebAssembly on one thread, about 40 times slower than --engine onnx',
  },
  {
    packages: ['@tensorflow/tfjs'],
    name: 'cpu',
    device: 'cpu',
    speed: 'plain JavaScript, more than 100 times slower than --engine onnx',
  },
];

const INSTALL = 'npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-wasm';

/** The backends whose packages are installed, fastest first; only those for a device where one is given. */
export function installedBackends(device?: Device): Backend[] {
  const { resolve } = createRequire(import.meta.url);
  const isInstalled = (name: string): boolean => {
    try {
      resolve(name);
      return true;
    } catch {
      return false;
    }
  };
  return BACKENDS.filter((backend) => (!device || backend.device === device) && backend.packages.every(isInstalled));
}

export interface LoadedTensorflow {
  readonly tf: Tensorflow;
  /** Name, version and backend: `TensorFlow.js 4.22.0 (wasm)`. */
  readonly runtime: string;
  /** Which backend it is and how fast, and why a faster one that is installed did not load. */
  readonly warning: string;
}

/**
 * Loads TensorFlow.js into this process with the fastest backend for the device that works.
 * @throws ScorerError `ENGINE_NOT_AVAILABLE` (usage)
 */
export async function loadTensorflow(device: Device): Promise<LoadedTensorflow> {
  // tfjs-node calls a function that Node 23 removed.
  Object.assign(util, { isNullOrUndefined: (value: unknown) => value === undefined || value === null });
  const failures: string[] = [];
  for (const { packages, name, speed } of installedBackends(device)) {
    try {
      const tf = await load(packages);
      // Without it a backend prints advice to install another one.
      tf.enableProdMode();
      if (!(await tf.setBackend(name))) throw new Error(`its backend ${name} does not start`);
      const runtime = `TensorFlow.js ${tf.version_core} (${packages.at(-1)})`;
      return { tf, runtime, warning: [...failures, `training on ${runtime}: ${speed}`].join('; ') };
    } catch (error) {
      const reason = error instanceof Error ? error.message.trim().split('\n')[0]! : String(error);
      failures.push(`${packages.at(-1)} does not load: ${reason}`);
    }
  }
  throw tensorflowMissing(failures);
}

async function load([api, ...backends]: Backend['packages']): Promise<Tensorflow> {
  // CommonJS packages, of which `import` shows no names.
  const require = createRequire(import.meta.url);
  const tf: Tensorflow = require(api);
  for (const backend of backends) require(backend);
  return tf;
}

export function tensorflowMissing(failures: readonly string[] = []): ScorerError {
  return new ScorerError({
    code: 'ENGINE_NOT_AVAILABLE',
    kind: 'usage',
    what: failures.length > 0 ? failures.join('; ') : 'TensorFlow.js is not installed',
    where: '--engine tfjs',
    hint: `use --engine onnx, or run: ${INSTALL} (for native speed: docs/tfjs.md)`,
  });
}
