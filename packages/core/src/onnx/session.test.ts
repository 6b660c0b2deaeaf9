import { spawnSync } from 'node:child_process';
// From the built package: the session's worker is a file of its own, which exists there only.
import {
  createGraph,
  cudaProviderPath,
  encodeGraph,
  type Graph,
  openSession,
  resolveDevice,
  type TensorData,
} from '@scorer/core/onnx';
import { describe, expect, test } from 'vitest';

const scalar = (value: number): TensorData => ({ type: 'float32', dims: [1], data: Float32Array.of(value) });

/** y = x + state */
function adder(): Graph {
  const graph = createGraph('adder');
  const sum = graph.node('Add', [graph.input('x', 'float32', [1]), graph.input('state', 'float32', [1])]);
  graph.output('y', sum, 'float32', [1]);
  return graph;
}

describe('a session', () => {
  test('runs a graph and names its inputs, outputs and runtime', async () => {
    const session = await openSession(encodeGraph(adder()), { device: 'cpu' });
    expect(session).toMatchObject({ inputs: ['x', 'state'], outputs: ['y'] });
    expect(session.runtime).toMatch(/^onnxruntime-node \d+\.\d+\.\d+$/);
    const { y } = await session.run({ x: scalar(2), state: scalar(40) }, { fetch: ['y'] });
    expect(y).toEqual(scalar(42));
    await session.close();
  });

  test('keeps a carried output as the input of later runs, and serves overlapping runs in order', async () => {
    const session = await openSession(encodeGraph(adder()), { device: 'cpu' });
    const carry = { y: 'state' };
    const runs = [
      session.run({ x: scalar(1), state: scalar(0) }, { fetch: [], carry }),
      session.run({ x: scalar(2) }, { fetch: [], carry }),
      session.run({ x: scalar(3) }, { fetch: ['y'], carry }),
    ];
    expect((await Promise.all(runs)).at(-1)!.y).toEqual(scalar(6));
    await session.close();
  });

  test('gives copies of what it carries, and refuses names that it carries nothing for', async () => {
    const session = await openSession(encodeGraph(adder()), { device: 'cpu' });
    await session.run({ x: scalar(2), state: scalar(40) }, { fetch: [], carry: { y: 'state' } });
    expect(await session.carried(['state'])).toEqual({ state: scalar(42) });
    expect(await session.carried(['state'])).toEqual({ state: scalar(42) });
    await expect(session.carried(['x'])).rejects.toMatchObject({ code: 'ONNX_RUN_FAILED' });
    await session.close();
  });

  test('takes over the memory of feeds that are transferred, and of no others', async () => {
    const session = await openSession(encodeGraph(adder()), { device: 'cpu' });
    const [x, state] = [scalar(2), scalar(40)];
    const { y } = await session.run({ x, state }, { fetch: ['y'], transfer: ['x'] });
    expect(y).toEqual(scalar(42));
    expect([x.data.length, state.data.length]).toEqual([0, 1]);
    await session.close();
  });

  test('takes and returns float16 as its bits', async () => {
    const graph = createGraph('double');
    const x = graph.input('x', 'float16', ['n']);
    graph.output('y', graph.node('Add', [x, x]), 'float16', ['n']);
    const session = await openSession(encodeGraph(graph), { device: 'cpu' });
    const one = 0x3c00;
    const two = 0x4000;
    const { y } = await session.run(
      { x: { type: 'float16', dims: [2], data: Uint16Array.of(one, two) } },
      { fetch: ['y'] },
    );
    expect(y).toEqual({ type: 'float16', dims: [2], data: Uint16Array.of(two, 0x4400) });
    await session.close();
  });

  test('goes on after a run that failed', async () => {
    const session = await openSession(encodeGraph(adder()), { device: 'cpu' });
    const wrongShape: TensorData = { type: 'float32', dims: [2], data: Float32Array.of(1, 2) };
    await expect(session.run({ x: wrongShape, state: scalar(1) }, { fetch: ['y'] })).rejects.toMatchObject({
      code: 'ONNX_RUN_FAILED',
      kind: 'input',
    });
    expect(await session.run({ x: scalar(1), state: scalar(1) }, { fetch: ['y'] })).toEqual({ y: scalar(2) });
    await session.close();
  });

  test('that nobody closes holds its process while it runs, and no longer', () => {
    const script = `
      import { createGraph, encodeGraph, openSession } from '@scorer/core/onnx';
      const graph = createGraph('double');
      const x = graph.input('x', 'float32', [1]);
      graph.output('y', graph.node('Add', [x, x]), 'float32', [1]);
      const session = await openSession(encodeGraph(graph), { device: 'cpu' });
      const { y } = await session.run({ x: { type: 'float32', dims: [1], data: Float32Array.of(21) } }, { fetch: ['y'] });
      console.log(y.data[0]);`;
    const args = ['--input-type=module', '-e', script];
    const { status, stdout } = spawnSync(process.execPath, args, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: '42\n' });
  });

  test('of something that is no model is refused', async () => {
    await expect(openSession(Uint8Array.of(1, 2, 3), { device: 'cpu' })).rejects.toMatchObject({
      code: 'ONNX_MODEL_REFUSED',
    });
  });
});

test.skipIf(cudaProviderPath())('without a CUDA provider auto means the CPU and cuda is an error', async () => {
  expect(await resolveDevice('auto')).toBe('cpu');
  await expect(resolveDevice('cuda')).rejects.toMatchObject({ code: 'CUDA_UNAVAILABLE', kind: 'input' });
});
