import { type Device, encodeGraph, type Graph, type OnnxSession, openSession } from '@scorer/core/onnx';
import type { EngineName } from './engine.js';
import { openTfjsSession } from './tfjs-session.js';

/** A graph that is ready to run, in a thread or process of its own. */
export type GraphSession = Pick<OnnxSession, 'runtime' | 'run' | 'carried' | 'close'>;

export interface RuntimeOptions {
  readonly device: Device;
  /** Threads of one operator; the runtime's own choice where left out, and always with TensorFlow.js. */
  readonly threads?: number | undefined;
  /** Called with what a user of the runtime should know, such as that it is a slow one. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** What runs the graphs of an engine. */
export interface Runtime {
  /** @throws ScorerError `ONNXRUNTIME_MISSING`, `CUDA_UNAVAILABLE`, `ENGINE_NOT_AVAILABLE` */
  open(graph: Graph, options: RuntimeOptions): Promise<GraphSession>;
  /** `long` where what is carried from run to run goes to the device and back with each. */
  runs(device: Device): 'short' | 'long';
  /** How many numbers of a large parameter Adam updates at a time. */
  adamBlock(device: Device): number;
}

/**
 * What Adam's dozen operators compute on the way for so many numbers (4 bytes of 5 arrays) stays in the cache of two
 * processor cores (2 MB each); of fewer numbers ONNX Runtime would not give each thread a share. A training step of 128
 * rows of 4,096 numbers takes 19 ms of processor time so, and 23 ms with all numbers at once.
 */
const CACHE_BLOCK = 128 * 1024;

/** Both run the same graphs. */
export const RUNTIMES: Record<EngineName, Runtime> = {
  onnx: {
    open: (graph, { device, threads }) => openSession(encodeGraph(graph), { device, threads }),
    runs: (device) => (device === 'cpu' ? 'short' : 'long'),
    adamBlock: (device) => (device === 'cpu' ? CACHE_BLOCK : Number.POSITIVE_INFINITY),
  },
  tfjs: {
    open: openTfjsSession,
    // Its tensors stay where they are.
    runs: () => 'short',
    // Cutting the arrays into blocks costs TensorFlow.js more than the cache gives.
    adamBlock: () => Number.POSITIVE_INFINITY,
  },
};
