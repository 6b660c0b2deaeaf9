import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const snippets = [...readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/```js (\S+)\n([\s\S]*?)```/g)].map(
  ([, name, code]) => ({ name: name!, code: code! }),
);

let folder: string;

beforeAll(() => {
  // What the README takes for granted: its packages installed, a model, and the files of the earlier stages.
  folder = mkdtempSync(join(tmpdir(), 'readme-'));
  mkdirSync(join(folder, 'node_modules/@scorer'), { recursive: true });
  for (const name of ['core', 'preprocess', 'hidden-states', 'train']) {
    symlinkSync(join(ROOT, 'packages', name), join(folder, 'node_modules/@scorer', name));
  }
  mkdirSync(join(folder, 'models'));
  mkdirSync(join(folder, 'pre'));
  symlinkSync(join(ROOT, 'apps/demo/data/model'), join(folder, 'models/Qwen3-4B'));
  cpSync(join(ROOT, 'packages/hidden-states/src/run/fixtures/steps.jsonl'), join(folder, 'pre/raw.jsonl'));
});

afterAll(() => rmSync(folder, { recursive: true }));

test('the README shows the use of each package as a library', () => {
  expect(snippets.map(({ name }) => name)).toEqual(['preprocess', 'hidden-states', 'core', 'train']);
});

const OUTPUT: Readonly<Record<string, RegExp>> = {
  preprocess: /^true \[ \d+ \]\n$/,
  'hidden-states': /^38 steps in 1 files\n$/,
  core: /^true\n$/,
  train: /^0\.\d{3}/,
};

test.each(snippets)('the README snippet for $name runs as it stands', ({ name, code }) => {
  const script = join(folder, `${name}.mjs`);
  writeFileSync(script, code);
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { cwd: folder, encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  expect(stdout).toMatch(OUTPUT[name]!);
});
