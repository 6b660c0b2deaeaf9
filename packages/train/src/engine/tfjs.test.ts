import { version_wasm } from '@tensorflow/tfjs-backend-wasm';
import { expect, test } from 'vitest';
import { createEngineOn } from './engine.js';
import { resolveEngine, resolveEngineDevice } from './resolve.js';
import { RUNTIMES, type Runtime } from './runtime.js';
import { loadTensorflow, tensorflowMissing } from './tfjs-backend.js';
import { tfjsRunner } from './tfjs-run.js';
import { testAgainstTorch } from './torch-cases.test.support.js';

/** What a session does, in this process: its worker exists in the built package only. */
const openInProcess: Runtime['open'] = async (graph, { device }) => {
  const { tf, runtime } = await loadTensorflow(device);
  const runner = tfjsRunner(tf, graph.toProto());
  return {
    runtime,
    run: async (feeds, { fetch, carry = {} }) => runner.run(feeds, fetch, carry),
    carried: async (inputs) => runner.carried(inputs),
    close: async () => {},
  };
};

testAgainstTorch((options, state) => createEngineOn({ ...RUNTIMES.tfjs, open: openInProcess }, options, state));

test('the backend that is taken, and how fast it is, are named', async () => {
  const { runtime, warning } = await loadTensorflow('cpu');
  expect(runtime).toBe(`TensorFlow.js ${version_wasm} (@tensorflow/tfjs-backend-wasm)`);
  expect(warning).toBe(`training on ${runtime}: WebAssembly on one thread, about 40 times slower than --engine onnx`);
});

test('ONNX Runtime is taken unless TensorFlow.js is asked for', () => {
  expect(resolveEngine('auto')).toBe('onnx');
  expect(resolveEngine('tfjs')).toBe('tfjs');
});

test('without the packages for CUDA auto means the processor and cuda is an error', async () => {
  expect(await resolveEngineDevice('tfjs', 'auto')).toBe('cpu');
  await expect(resolveEngineDevice('tfjs', 'cuda')).rejects.toMatchObject({ code: 'CUDA_UNAVAILABLE' });
  await expect(loadTensorflow('cuda')).rejects.toMatchObject({ code: 'ENGINE_NOT_AVAILABLE', kind: 'usage' });
});

test('a card can be chosen for ONNX Runtime alone', async () => {
  await expect(resolveEngineDevice('tfjs', 'cuda:1')).rejects.toMatchObject({
    code: 'BAD_DEVICE',
    kind: 'usage',
    message: expect.stringContaining('CUDA_VISIBLE_DEVICES'),
  });
});

test('where nothing is installed the error says how to install it', () => {
  expect(tensorflowMissing().message).toContain('npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-wasm');
});
