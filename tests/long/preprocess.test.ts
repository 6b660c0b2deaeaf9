import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const BENCH = fileURLToPath(new URL('../../bench/preprocess-memory.mjs', import.meta.url));

test('200 MB of traces are preprocessed in flat memory, and three kills on the way change no byte', () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [BENCH], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  const result = JSON.parse(stdout);
  console.info(stdout.trim());
  expect(result).toMatchObject({ equal_bytes: true, input_mb: 200 });
  expect(result.peak_mb).toBeLessThan(500);
  const [, second, , last] = result.quarter_medians_mb;
  expect(last).toBeLessThan(1.25 * second);
  const [first, , third] = result.killed_at_mb;
  expect(first).toBeGreaterThan(0.1 * result.output_mb);
  expect(third).toBeLessThan(result.output_mb);
});
