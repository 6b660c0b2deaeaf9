import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sampleDetails, sampleRun } from './fixtures/sample-run.js';
import { writePlots } from './index.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'plots-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('writes two pictures and the report, byte for byte the same again elsewhere', async () => {
  const [first, second] = [join(folder, 'plots', 'a'), join(folder, 'b')];
  await writePlots(first, [sampleRun()], sampleDetails());
  await writePlots(second, [sampleRun()], sampleDetails());
  const names = await readdir(first);
  expect(names.sort()).toEqual(['loss_curves.png', 'report.html', 'validation_metrics.png']);
  for (const name of names) {
    const bytes = await readFile(join(first, name));
    expect(bytes.equals(await readFile(join(second, name)))).toBe(true);
    expect(bytes.includes(folder)).toBe(false);
  }
});
