import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const BIN = path('../../bin/scorer-hidden-states.js');
const MODEL = path('../../../../apps/demo/data/model');
const RECORDS = path('../run/fixtures/steps.jsonl');
const FILES = path('../import/fixtures');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'import-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [BIN, ...args], { encoding: 'utf8', cwd: folder });
}

function importStates(from: string, to: string, ...more: string[]): ReturnType<typeof run> {
  const flags = ['--model_name', MODEL, '--input_path', RECORDS, '--source', join(FILES, from)];
  return run('import', '--from', from, ...flags, '--output_path', `${to}/all`, '--json', ...more);
}

test("the original's files are imported, and the audit finds them good", () => {
  const { status, stdout, stderr } = importStates('step', 'step');
  expect(status, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ traces: 5, steps: 38, failures: 0, layers: [5], dtype: 'bfloat16' });
  const audited = run('audit', '--model', MODEL, '--input_dir', 'step', '--sample', '100%', '--device', 'cpu');
  expect(audited.status, audited.stderr).toBe(0);
  expect(audited.stdout).toContain('38 rows of 5 of 5 traces computed again with model');
  expect(audited.stdout).toMatch(/^good: a fault in \d+ % of the traces or more would show with 99 % probability$/m);
});

test('too many traces without states end the import with code 3', () => {
  const { status, stdout, stderr } = importStates('vllm', 'few', '--layers', '2,5');
  expect(status).toBe(3);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^error\[TOO_MANY_FAILURES\]: 1 of 5 traces failed.*\[SOURCE_MISSING\].*$/m);
  expect(readdirSync(join(folder, 'few')).filter((name) => !name.startsWith('.'))).toEqual([]);
});

test('layers that are named wrongly are found by the audit, which prints what it found and exits with code 3', () => {
  expect(importStates('vllm', 'vllm', '--layers', '3,5', '--final-norm', 'keep', '--max-failures', '1').status).toBe(0);
  const audited = run('audit', '--model-name', MODEL, '--input-dir', 'vllm', '--device', 'cpu', '--json');
  expect(audited.status).toBe(3);
  expect(JSON.parse(audited.stdout)).toMatchObject({
    good: false,
    traces: 4,
    faults: expect.arrayContaining([
      expect.objectContaining({ kind: 'layer', detail: 'of layer 2' }),
      expect.objectContaining({ kind: 'norm', detail: 'before the final norm' }),
    ]),
  });
  expect(audited.stderr).toMatch(
    /^error\[AUDIT_FAILED\]: states are not what they should be: (layer, norm|norm, layer)/m,
  );
});

test.each([
  ['another source', ['--from', 'other'], 'USAGE'],
  ['a layer that the model lacks', ['--from', 'vllm', '--layers', '9'], 'BAD_LAYERS'],
])('%s is refused as a usage error', (_, flags, code) => {
  mkdirSync(join(folder, 'none'), { recursive: true });
  const shared = ['--model-name', MODEL, '--input-path', RECORDS, '--source', 'none', '--output-path', 'hs/x'];
  const { status, stderr } = run('import', ...shared, ...flags);
  expect(stderr).toMatch(new RegExp(`^error\\[${code}\\]`, 'm'));
  expect(status).toBe(2);
});
