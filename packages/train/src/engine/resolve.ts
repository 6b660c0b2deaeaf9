import { createRequire } from 'node:module';
import { ScorerError } from '@scorer/core/errors';
import { type Device, type DeviceWish, resolveDevice } from '@scorer/core/onnx';
import type { EngineName } from './engine.js';
import { installedBackends, tensorflowMissing } from './tfjs-backend.js';

/**
 * The engine to use: with `auto`, ONNX Runtime unless TensorFlow.js alone is installed.
 * @throws ScorerError `ENGINE_NOT_AVAILABLE` (usage)
 */
export function resolveEngine(wish: 'auto' | EngineName): EngineName {
  const hasTensorflow = installedBackends().length > 0;
  if (wish === 'tfjs' && !hasTensorflow) throw tensorflowMissing();
  if (wish === 'auto') return hasTensorflow && !hasOnnxRuntime() ? 'tfjs' : 'onnx';
  return wish;
}

/**
 * The device for an engine to run on. TensorFlow.js takes the first card alone.
 * @throws ScorerError `BAD_DEVICE` (usage), `CUDA_UNAVAILABLE`, `CUDA_CARD_MISSING`, `ONNXRUNTIME_MISSING`
 */
export async function resolveEngineDevice(engine: EngineName, wish: DeviceWish): Promise<Device> {
  if (engine === 'onnx') return resolveDevice(wish);
  if (wish.startsWith('cuda:')) {
    throw new ScorerError({
      code: 'BAD_DEVICE',
      kind: 'usage',
      what: 'TensorFlow.js takes the first card and can be given no other',
      where: `--engine tfjs --device ${wish}`,
      hint: 'give --device cuda, and hide the other cards with CUDA_VISIBLE_DEVICES',
    });
  }
  if (wish !== 'cpu' && installedBackends('cuda').length > 0) return 'cuda';
  if (wish !== 'cuda') return 'cpu';
  throw new ScorerError({
    code: 'CUDA_UNAVAILABLE',
    what: '@tensorflow/tfjs-node-gpu is not installed',
    where: '--engine tfjs --device cuda',
    hint: 'install it (docs/tfjs.md), or use --device cpu',
  });
}

function hasOnnxRuntime(): boolean {
  try {
    createRequire(import.meta.url).resolve('onnxruntime-node');
    return true;
  } catch {
    return false;
  }
}
