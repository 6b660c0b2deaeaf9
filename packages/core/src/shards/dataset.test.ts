import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
// From the built package: the reader threads run a file of their own, which exists there only.
import { type BatchOptions, openShardDataset, openShardWriter, type ShardDataset } from '@scorer/core/shards';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EXAMPLE, exampleTrace } from './fixtures/traces.js';

const SHARDS = { b: [4, 5, 12], a: [1, 0, 2], c: [], d: [8, 9, 10, 11, 13] };
/** In the order of the shards' names. */
const TRACES = [0, 1, 2, 4, 5, 12, 8, 9, 10, 11, 13].map((i) => exampleTrace(i));
const ROWS = 22;
const ROW_BYTES = 6;
const ALL = Buffer.concat(TRACES.map(({ hiddenStates }) => hiddenStates.get(2)!));

let folder: string;
let dataset: ShardDataset;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dataset-'));
  for (const [name, indices] of Object.entries(SHARDS)) {
    const writer = await openShardWriter(join(folder, `${name}.safetensors`), EXAMPLE);
    for (const i of indices) await writer.append(exampleTrace(i));
    await writer.seal();
  }
  // A chunk holds 10 rows.
  dataset = await openShardDataset(folder, { memoryBytes: 2 * 10 * ROW_BYTES });
});
afterAll(async () => {
  await dataset.close();
  await rm(folder, { recursive: true });
});

const statesOf = (rows: Iterable<number>): Buffer =>
  Buffer.concat(Array.from(rows, (row) => ALL.subarray(row * ROW_BYTES, (row + 1) * ROW_BYTES)));

async function collect(options: Partial<BatchOptions> = {}): Promise<{ rows: number[]; states: Buffer }[]> {
  const batches = [];
  for await (const { rows, states } of dataset.batches({ layer: 2, batchRows: 5, seed: 7, ...options })) {
    batches.push({ rows: [...rows], states: Buffer.from(states) });
  }
  return batches;
}

describe('a set of shards', () => {
  test('tells labels, steps, regions and questions of all traces', async () => {
    expect(dataset).toMatchObject({ traceCount: 11, stepCount: ROWS, layers: [0, 2] });
    expect([...dataset.labels]).toEqual(TRACES.map(({ isCorrect }) => Number(isCorrect)));
    expect([...dataset.stepOffsets]).toEqual([0, 3, 5, 6, 9, 11, 14, 17, 19, 20, 20, 22]);
    expect([...(await dataset.stepRegions())]).toEqual(TRACES.flatMap(({ stepRegions }) => [...stepRegions]));
    const { numbers, texts } = await dataset.questions();
    expect([...numbers]).toEqual(TRACES.map((_, i) => i));
    expect(texts).toEqual(TRACES.map((trace) => trace.texts.question));
  });

  test('gives equal questions one number', async () => {
    const twice = await mkdtemp(join(folder, 'twice-'));
    for (const [shard, questions] of [
      ['a', 'xyx'],
      ['b', 'zy'],
    ] as const) {
      const writer = await openShardWriter(join(twice, `${shard}.safetensors`), EXAMPLE);
      for (const [i, question] of [...questions].entries()) {
        const trace = exampleTrace(i);
        await writer.append({ ...trace, texts: { ...trace.texts, question } });
      }
      await writer.seal();
    }
    const set = await openShardDataset(twice);
    expect(await set.questions()).toEqual({ numbers: Uint32Array.of(0, 1, 0, 2, 1), texts: ['x', 'y', 'z'] });
    await set.close();
  });
});

describe('rows', () => {
  test.each([
    ['none', []],
    ['all', Array.from({ length: ROWS }, (_, i) => i)],
    ['some, in no order, one twice', [21, 3, 0, 9, 3, 11, 10]],
  ])('%s come in the order in which they are asked for', async (_, rows) => {
    expect(Buffer.from(await dataset.gather(2, Uint32Array.from(rows)))).toEqual(statesOf(rows));
  });

  test('come into the buffer that is given, and many calls at once do not mix', async () => {
    const into = new Uint8Array(new SharedArrayBuffer(100));
    const filled = await dataset.gather(2, Uint32Array.of(5, 4), into);
    expect(filled.buffer).toBe(into.buffer);
    expect(Buffer.from(filled)).toEqual(statesOf([5, 4]));
    const calls = Array.from({ length: 50 }, (_, i) => [i % ROWS, (i * 7) % ROWS]);
    const results = await Promise.all(calls.map((rows) => dataset.gather(2, Uint32Array.from(rows))));
    expect(results.map((bytes) => Buffer.from(bytes))).toEqual(calls.map(statesOf));
  });

  test('that are not there, of a layer that is not, or for too small a buffer are refused', async () => {
    const row = Uint32Array.of(ROWS - 1);
    await expect(dataset.gather(2, Uint32Array.of(ROWS))).rejects.toMatchObject({ code: 'ROWS_OUT_OF_RANGE' });
    await expect(dataset.gather(1, row)).rejects.toMatchObject({ code: 'LAYER_NOT_FOUND' });
    const small = new Uint8Array(new SharedArrayBuffer(5));
    await expect(dataset.gather(2, row, small)).rejects.toMatchObject({ code: 'BUFFER_TOO_SMALL', kind: 'usage' });
  });

  test('of a file that was cut after it was opened are refused, with the file', async () => {
    const cut = await mkdtemp(join(folder, 'cut-'));
    for (const name of ['a', 'b']) {
      await copyFile(join(folder, `${name}.safetensors`), join(cut, `${name}.safetensors`));
    }
    const set = await openShardDataset(cut);
    await truncate(join(cut, 'b.safetensors'), set.shards[1]!.layerStart(2) + 3);
    await expect(set.gather(2, Uint32Array.of(0, 10))).rejects.toMatchObject({
      code: 'FILE_TRUNCATED',
      where: join(cut, 'b.safetensors'),
    });
    expect((await set.gather(2, Uint32Array.of(1))).length).toBe(ROW_BYTES);
    await set.close();
  });
});

describe('batches', () => {
  test('hold every row once with its states, the last batch fewer', async () => {
    const batches = await collect();
    expect(batches.map(({ rows }) => rows.length)).toEqual([5, 5, 5, 5, 2]);
    expect(batches.flatMap(({ rows }) => rows).sort((a, b) => a - b)).toEqual(
      Array.from({ length: ROWS }, (_, i) => i),
    );
    for (const { rows, states } of batches) expect(states).toEqual(statesOf(rows));
  });

  test('stay as they are until the next is asked for, whatever is read meanwhile', async () => {
    for await (const { rows, states } of dataset.batches({ layer: 2, batchRows: 10, seed: 7 })) {
      for (let i = 0; i < 5; i++) await dataset.gather(2, Uint32Array.of(i, ROWS - 1));
      expect(Buffer.from(states)).toEqual(statesOf(rows));
    }
  });

  test('follow from the seed', async () => {
    expect(await collect()).toEqual(await collect());
    expect(await collect({ seed: 8 })).not.toEqual(await collect());
  });

  test('hold the chosen rows alone', async () => {
    const rows = Uint32Array.of(1, 2, 3, 9, 17, 20);
    const batches = await collect({ rows, blockRows: 1 });
    expect(batches.flatMap(({ rows }) => rows).sort((a, b) => a - b)).toEqual([...rows]);
    for (const { rows, states } of batches) expect(states).toEqual(statesOf(rows));
    expect(await collect({ rows: new Uint32Array(0) })).toEqual([]);
  });

  test('that do not fit into the memory, of no rows or of an unknown layer are refused', async () => {
    await expect(collect({ batchRows: 11 })).rejects.toMatchObject({
      code: 'MEMORY_TOO_SMALL',
      message: expect.stringContaining('take 132 bytes, 120 are allowed'),
    });
    await expect(collect({ batchRows: 0 })).rejects.toMatchObject({ code: 'BAD_OPTION', kind: 'usage' });
    await expect(collect({ blockRows: 1.5 })).rejects.toMatchObject({ code: 'BAD_OPTION' });
    await expect(collect({ layer: 3 })).rejects.toMatchObject({ code: 'LAYER_NOT_FOUND' });
  });

  test('end early when the signal is aborted or the reader has seen enough', async () => {
    await expect(collect({ signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
    for await (const { rows } of dataset.batches({ layer: 2, batchRows: 5, seed: 0 })) {
      expect(rows.length).toBe(5);
      break;
    }
    expect(Buffer.from(await dataset.gather(2, Uint32Array.of(3)))).toEqual(statesOf([3]));
  });
});

/** Runs a program that has `openShardDataset` and `path`; returns what it prints. */
function run(program: string, path: string): { stdout: string; stderr: string } {
  const library = new URL('../../dist/shards/index.js', import.meta.url);
  const head = `import { openShardDataset } from ${JSON.stringify(library.href)}; const path = ${JSON.stringify(path)};`;
  const args = ['--input-type=module', '--eval', head + program];
  return spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 });
}

test('a program that has read rows ends, also without closing the set', () => {
  const { stdout, stderr } = run(
    `const set = await openShardDataset(path);
     console.log((await set.gather(2, Uint32Array.of(3))).length);`,
    folder,
  );
  expect({ stdout, stderr }).toEqual({ stdout: `${ROW_BYTES}\n`, stderr: '' });
});

test.skipIf(process.platform !== 'linux')(
  'one layer of 37 is read with no more than 1.1 times its bytes, as the kernel counts them (Linux)',
  async () => {
    const wide = await mkdtemp(join(folder, 'wide-'));
    const layers = Array.from({ length: 37 }, (_, layer) => layer);
    const hiddenSize = 512;
    const steps = 100;
    const shape = { ...EXAMPLE, layers, hiddenSize };
    const states = new Map(layers.map((layer) => [layer, new Uint8Array(steps * hiddenSize * 2)]));
    for (const first of [0, 5]) {
      const writer = await openShardWriter(join(wide, `${first}.safetensors`), shape);
      for (let i = first; i < first + 5; i++) {
        await writer.append({
          ...exampleTrace(i),
          inputIds: new Int32Array(2 * steps),
          stepPositions: Int32Array.from({ length: steps }, (_, k) => 2 * k),
          stepRegions: new Uint8Array(steps),
          hiddenStates: states,
        });
      }
      await writer.seal();
    }
    const { stdout } = run(
      `import { readFileSync } from 'node:fs';
       const counted = () => Number(/rchar: (\\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))[1]);
       const before = counted();
       const set = await openShardDataset(path, { memoryBytes: 2 ** 20 });
       await set.questions();
       await set.stepRegions();
       let bytes = 0;
       for await (const { states } of set.batches({ layer: 18, batchRows: 50, seed: 0 })) bytes += states.length;
       console.log(bytes, counted() - before);`,
      wide,
    );
    const [bytes, read] = stdout.split(' ').map(Number) as [number, number];
    expect(bytes).toBe(10 * steps * hiddenSize * 2);
    expect(read).toBeGreaterThanOrEqual(bytes);
    expect(read / bytes).toBeLessThanOrEqual(1.1);
  },
);
