import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSafetensors } from '@scorer/core/safetensors';
import { afterEach, describe, expect, test } from 'vitest';
import { type OpenModel, type OpenModelOptions, openModel } from './index.js';

const FOLDER = fileURLToPath(new URL('./run/fixtures/architectures/llama3-biases', import.meta.url));
const ids = (length: number, factor = 7): Int32Array => Int32Array.from({ length }, (_, i) => (i * factor) % 40);

let model: OpenModel;
const open = async (options: OpenModelOptions = {}): Promise<OpenModel> => {
  model = await openModel(FOLDER, { device: 'cpu', ...options });
  return model;
};
afterEach(() => model.close());

describe('an open model', () => {
  test('gives float32 rows of the wanted layers at the wanted positions, as transformers does', async () => {
    await open({ layers: 'all' });
    expect(model).toMatchObject({ layerCount: 3, hiddenSize: 32, layers: [0, 1, 2, 3], device: 'cpu' });
    const oracle = await openSafetensors(join(FOLDER, 'states.safetensors'));
    const read = async (name: string) => (await oracle.read(name)).slice().buffer;
    const states = await model.hiddenStates({
      inputIds: [...new Int32Array(await read('input_ids.100'))],
      positions: new Int32Array(await read('positions.100')),
      layers: [1, 3],
    });
    expect([...states.keys()]).toEqual([1, 3]);
    const expected = new Float32Array(await read('hidden_states.3.100'));
    expect(states.get(3)!.length).toBe(expected.length);
    for (const [i, value] of expected.entries()) expect(states.get(3)![i]).toBeCloseTo(value, 4);
    await oracle.close();
  });

  test('takes all positions of the last layer where nothing is said', async () => {
    await open();
    const states = await model.hiddenStates({ inputIds: ids(5) });
    expect([...states.keys()]).toEqual([3]);
    expect(states.get(3)!.length).toBe(5 * 32);
  });

  test('goes through many sequences in their order', async () => {
    await open();
    async function* requests() {
      for (const length of [3, 9, 5]) yield { inputIds: ids(length), positions: [length - 1], name: `trace ${length}` };
    }
    const seen: string[] = [];
    for await (const { request, states } of model.hiddenStatesOf(requests())) {
      seen.push(request.name);
      const { inputIds, positions } = request;
      expect(states).toEqual(await model.hiddenStates({ inputIds, positions }));
    }
    expect(seen).toEqual(['trace 3', 'trace 9', 'trace 5']);
  });

  test('stops on a signal, also between sequences', async () => {
    await open();
    const stop = new AbortController();
    const waiting = model.hiddenStates({ inputIds: ids(40), signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(model.hiddenStatesOf([{ inputIds: ids(4) }], { signal: stop.signal }).next()).rejects.toThrow(
      'enough',
    );
    expect((await model.hiddenStates({ inputIds: ids(4) })).get(3)!.length).toBe(4 * 32);
  });

  test('stops on a signal while it waits for the next sequence, or is being loaded', async () => {
    await open();
    const stop = new AbortController();
    async function* slow() {
      yield { inputIds: ids(4) };
      await new Promise(() => {});
    }
    const states = model.hiddenStatesOf(slow(), { signal: stop.signal });
    const first = states.next();
    setImmediate(() => stop.abort(new Error('enough')));
    await expect(first).rejects.toThrow('enough');
    await expect(openModel(FOLDER, { device: 'cpu', signal: stop.signal })).rejects.toThrow('enough');
    const late = new AbortController();
    const opening = openModel(FOLDER, { device: 'cpu', signal: late.signal });
    setTimeout(() => late.abort(new Error('too late')), 0);
    await expect(opening).rejects.toThrow('too late');
  });

  test('stops on the signal of one sequence as on that of all', async () => {
    await open();
    const one = new AbortController();
    one.abort(new Error('not this one'));
    const { signal } = new AbortController();
    const requests = [{ inputIds: ids(4) }, { inputIds: ids(5), signal: one.signal }];
    const states = model.hiddenStatesOf(requests, { signal });
    expect((await states.next()).value).toMatchObject({ request: requests[0] });
    await expect(states.next()).rejects.toThrow('not this one');
  });

  test.each([
    ['a prompt longer than the sequence', { promptLength: 9 }, 'BAD_POSITIONS'],
    ['a prompt of negative length', { promptLength: -1 }, 'BAD_POSITIONS'],
    ['a layer that it was opened without', { layers: [1] }, 'BAD_LAYERS'],
    ['a token that is no whole number', { inputIds: [1, 1.7, 2] }, 'BAD_TOKENS'],
    ['a token of more than 32 bits', { inputIds: [1, 2 ** 32 + 1, 2] }, 'BAD_TOKENS'],
    ['a position that is no number', { positions: [Number.NaN] }, 'BAD_POSITIONS'],
    ['a position after the end', { positions: [2, 8] }, 'BAD_POSITIONS'],
    ['positions that do not ascend', { positions: [2, 2] }, 'BAD_POSITIONS'],
    ['a negative position', { positions: [-1] }, 'BAD_POSITIONS'],
  ])('refuses %s', async (_, wrong, code) => {
    await open();
    await expect(model.hiddenStates({ inputIds: ids(8), ...wrong })).rejects.toMatchObject({ code, kind: 'usage' });
  });
});
