import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSession } from '@scorer/core/onnx';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createGraph, type ExternalBytes, encodeGraph, type Graph, int64 } from '../graph.js';
import { cutModel } from './cut-model.js';
import { readOnnxModel } from './read-model.js';

const WIDTH = 256;
const BYTES = WIDTH * Float32Array.BYTES_PER_ELEMENT;
const weights = Float32Array.from({ length: WIDTH }, (_, i) => i);

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'onnx-')));
  writeFileSync(join(folder, 'data'), weights);
});
afterEach(() => rmSync(folder, { recursive: true }));

/** y = −(x + w), and z = w·w of what is not wanted. */
function write(addWeights: (graph: Graph) => { name: string }): string {
  const graph = createGraph('test');
  const x = graph.input('x', 'float32', ['n', WIDTH]);
  const w = addWeights(graph);
  graph.input('unused', 'int64', [1]);
  graph.output('y', graph.node('Neg', [graph.node('Add', [x, w])]), 'float32', ['n', WIDTH]);
  graph.output('z', graph.node('Mul', [w, w]), 'float32', [WIDTH]);
  const path = join(folder, 'model.onnx');
  writeFileSync(path, encodeGraph(graph));
  return path;
}

const external = (bytes: ExternalBytes) => (graph: Graph) => graph.external('w', 'float32', [WIDTH], bytes);

describe('a model that exists', () => {
  test.each([
    ['in the file', (graph: Graph) => graph.constant('float32', [WIDTH], weights, 'w'), ['model.onnx']],
    ['beside it', external({ location: 'data', offset: 0, length: BYTES }), ['model.onnx', 'data']],
  ])('with weights %s is read, cut to a value inside of it, and runs with a new output', async (_, add, files) => {
    const model = await readOnnxModel(write(add));
    expect(model.files).toEqual(files);
    expect(model.inputs.map(({ name, type, shape }) => ({ name, type, shape }))).toEqual([
      { name: 'x', type: 'float32', shape: ['n', WIDTH] },
      { name: 'unused', type: 'int64', shape: [1] },
    ]);

    const sum = model.nodes.find(({ operator }) => operator === 'Add')!.outputs[0]!;
    const more = createGraph('more', { prefix: 'more.' });
    const first = more.node('Gather', [{ name: sum }, int64(more, [0])], { attributes: { axis: 1 } });
    more.output('first', first, 'float32', ['n', 1]);
    const cut = cutModel(model, [sum], more);
    expect(cut.inputs.map(({ name }) => name)).toEqual(['x']);

    const session = await openSession(cut.bytes, { device: 'cpu', externalDataFolder: model.folder });
    expect(session.outputs).toEqual(['first']);
    const x = new Float32Array(2 * WIDTH).fill(5);
    const { first: result } = await session.run(
      { x: { type: 'float32', dims: [2, WIDTH], data: x } },
      { fetch: ['first'] },
    );
    expect([...result!.data]).toEqual([5, 5]);
    await session.close();
  });

  test('keeps no weights in memory', async () => {
    const model = await readOnnxModel(write((graph) => graph.constant('float32', [WIDTH], weights, 'w')));
    expect(model.initializers.get('w')!.bytes.length).toBeLessThan(BYTES);
  });

  test('that is cut off anywhere, or is something else, is refused', async () => {
    const path = write((graph) => graph.constant('float32', [WIDTH], weights, 'w'));
    const empty = encodeGraph(createGraph('empty'));
    const bytes = readFileSync(path);
    for (const length of [0, 1, 30, 100, bytes.length - 1000, bytes.length - 1]) {
      writeFileSync(path, bytes.subarray(0, length));
      await expect(readOnnxModel(path), `${length} bytes`).rejects.toMatchObject({ code: 'ONNX_INVALID' });
    }
    for (const other of [empty, Buffer.from('{"format": "json"}'), Buffer.alloc(5000, 0xff), Buffer.alloc(5000)]) {
      writeFileSync(path, other);
      await expect(readOnnxModel(path)).rejects.toMatchObject({ code: 'ONNX_INVALID' });
    }
    await expect(readOnnxModel(join(folder, 'missing.onnx'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});

describe('the external data of a model', () => {
  const at = (location: string): ExternalBytes => ({ location, offset: 0, length: BYTES });
  const refusal = async (bytes: ExternalBytes) => readOnnxModel(write(external(bytes))).catch((error) => error.code);

  test.each(['../data', '/etc/passwd', 'a/../../data', 'a\\..\\data', '..', 'C:\\data', ''])(
    'are not looked for outside of its folder: %j',
    async (location) => {
      expect(await refusal(at(location))).toBe('ONNX_EXTERNAL_PATH');
    },
  );

  test('are not reached through links, soft or hard, of the file or of a folder on the way', async () => {
    symlinkSync('data', join(folder, 'soft'));
    expect(await refusal(at('soft'))).toBe('ONNX_EXTERNAL_SYMLINK');
    mkdirSync(join(folder, 'inner'));
    writeFileSync(join(folder, 'inner', 'data'), weights);
    expect(await refusal(at('inner/data'))).toMatchObject({ files: ['model.onnx', 'inner/data'] });
    symlinkSync('inner', join(folder, 'outer'));
    expect(await refusal(at('outer/data'))).toBe('ONNX_EXTERNAL_SYMLINK');
    linkSync(join(folder, 'data'), join(folder, 'hard'));
    expect(await refusal(at('hard'))).toBe('ONNX_EXTERNAL_HARD_LINK');
  });

  test.each([
    ['begin after the end', { offset: 10 * BYTES, length: BYTES }],
    ['end after the end', { offset: 4, length: BYTES }],
    ['begin before the beginning', { offset: -4, length: BYTES }],
    ['are more than numbers hold', { offset: 2 ** 60, length: BYTES }],
    ['are no numbers', { offset: Number.NaN, length: BYTES }],
    ['have another size than the tensor', { offset: 0, length: BYTES - 4 }],
  ])('that %s are refused', async (_, range) => {
    expect(await refusal({ location: 'data', ...range })).toBe('ONNX_EXTERNAL_RANGE');
  });

  test('must be there, and a file', async () => {
    expect(await refusal(at('missing'))).toBe('ONNX_EXTERNAL_MISSING');
    mkdirSync(join(folder, 'inner'));
    expect(await refusal(at('inner'))).toBe('ONNX_EXTERNAL_PATH');
  });

  test('are checked in the bodies of a loop too', async () => {
    const graph = createGraph('outer');
    const body = graph.subgraph('body');
    const x = body.input('x', 'float32', [WIDTH]);
    const w = body.external('w', 'float32', [WIDTH], at('../data'));
    body.result(body.node('Add', [x, w]), 'float32', [WIDTH]);
    const rows = graph.input('rows', 'float32', ['n', WIDTH]);
    const y = graph.node('Scan', [rows], { attributes: { body, num_scan_inputs: 1 } });
    graph.output('y', y, 'float32', ['n', WIDTH]);
    writeFileSync(join(folder, 'model.onnx'), encodeGraph(graph));
    await expect(readOnnxModel(join(folder, 'model.onnx'))).rejects.toMatchObject({ code: 'ONNX_EXTERNAL_PATH' });
  });
});
