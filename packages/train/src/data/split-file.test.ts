import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openShardDataset } from '@scorer/core/shards';
import { expect, test } from 'vitest';
import { type SampleTrace, writeShard } from '../sample-shards.test.support.js';
import { selectSteps } from './rows.js';
import { readSplit, splitFile } from './split-file.js';

test('the validation traces are listed by shard, of a split by step with their steps', async () => {
  const path = await mkdtemp(join(tmpdir(), 'split-'));
  const trace = (steps: number): SampleTrace => ({
    question: 'q',
    isCorrect: true,
    states: new Map([[1, Array.from({ length: steps }, () => Float32Array.of(0))]]),
    regions: Array.from({ length: steps }, (_, i) => Number(i > 0)),
  });
  const options = { layers: [1], hiddenSize: 1 };
  await writeShard(join(path, 'a.safetensors'), [trace(3), trace(0), trace(2)], options);
  await writeShard(join(path, 'b.safetensors'), [trace(1)], options);
  await writeShard(join(path, 'c.safetensors'), [trace(2), trace(4)], options);
  const dataset = await openShardDataset(path);
  // Reasoning steps alone: 2 of the first trace, 1 of the third, 1 and 3 of the last two.
  const choice = { regions: 'reasoning', stepSampleRatio: 1, seed: 0 } as const;
  const steps = await selectSteps(dataset, choice, new Map());
  await dataset.close();

  const membership = Uint8Array.of(0, 1, 1, 0, 0, 1, 1);
  expect(splitFile('step', dataset, steps, membership).validation).toEqual([
    { shard: 'a.safetensors', trace_index: [0, 2], steps: [[2], [1]] },
    { shard: 'c.safetensors', trace_index: [1], steps: [[2, 3]] },
  ]);
  const byTrace = splitFile('trace', dataset, steps, Uint8Array.of(0, 0, 1, 0, 1, 1, 1));
  expect(byTrace.validation).toEqual([
    { shard: 'a.safetensors', trace_index: [2] },
    { shard: 'c.safetensors', trace_index: [1] },
  ]);
  expect(splitFile('folder', dataset, steps).validation.map(({ trace_index }) => trace_index)).toEqual([
    [0, 2],
    [0, 1],
  ]);

  const file = join(path, 'split.json');
  await writeFile(file, JSON.stringify(byTrace));
  expect(await readSplit(file)).toEqual(byTrace);
  await writeFile(file, '{}');
  await expect(readSplit(file)).rejects.toMatchObject({ code: 'SPLIT_INVALID' });
  await rm(path, { recursive: true });
});
