import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const snippets = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/```js (\S+)\n([\s\S]*?)```/g)].map(
  ([, name, code]) => ({ name: name!, code: code! }),
);

/** Twelve questions: enough for a split by question to have both labels on both sides. */
const TRACE_COUNT = 192;

let folder: string;

beforeAll(() => {
  // What the README takes for granted: its packages installed, a model, and the files of the earlier stages.
  folder = mkdtempSync(join(tmpdir(), 'readme-'));
  mkdirSync(join(folder, 'node_modules/@scorer'), { recursive: true });
  for (const name of ['core', 'preprocess', 'hidden-states', 'train']) {
    symlinkSync(join(ROOT, 'packages', name), join(folder, 'node_modules/@scorer', name));
  }
  mkdirSync(join(folder, 'models'));
  symlinkSync(join(ROOT, 'apps/demo/data/model'), join(folder, 'models/Qwen3-4B'));
  const traces = readFileSync(join(ROOT, 'apps/demo/data/traces.jsonl'), 'utf8').split('\n').slice(0, TRACE_COUNT);
  writeFileSync(join(folder, 'raw.jsonl'), traces.join('\n'));
  const flags = ['--input_file', 'raw.jsonl', '--output_file', 'pre', '--tokenizer_path', 'models/Qwen3-4B'];
  runNode([join(ROOT, 'packages/preprocess/bin/scorer-preprocess.js'), ...flags]);
});

afterAll(() => rmSync(folder, { recursive: true }));

test('the README shows the use of each package as a library', () => {
  expect(snippets.map(({ name }) => name)).toEqual(['preprocess', 'hidden-states', 'core', 'train']);
});

const OUTPUT: Readonly<Record<string, RegExp>> = {
  preprocess: /^true \[ \d+ \]\n$/,
  'hidden-states': /^1\d{3} steps in 1 files\n$/,
  core: /^true\n$/,
  train: /^AUC 0\.\d{3} at epoch [1-5]; see plots\/my_scorer\/report.html\n$/,
};

test.each(snippets)('the README snippet for $name runs as it stands', ({ name, code }) => {
  const script = join(folder, `${name}.mjs`);
  writeFileSync(script, code);
  expect(runNode([script])).toMatch(OUTPUT[name]!);
});

function runNode(args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return stdout;
}
