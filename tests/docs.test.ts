import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CORE = join(ROOT, 'packages/core');
const api = readFileSync(join(ROOT, 'docs/api.md'), 'utf8');

const subpaths = Object.entries<{ default?: string }>(
  JSON.parse(readFileSync(join(CORE, 'package.json'), 'utf8')).exports,
).flatMap(([name, target]) => (target.default ? [{ name: `@scorer/core${name.slice(1)}`, file: target.default }] : []));

test.each(subpaths)('docs/api.md names all that $name exports', async ({ name, file }) => {
  const exported = Object.keys(await import(pathToFileURL(join(CORE, file)).href));
  expect(exported.length).toBeGreaterThan(0);
  const section = api.split('\n\n').find((part) => part.startsWith(`| \`${name}\` |`)) ?? '';
  expect(exported.filter((item) => !new RegExp(`\\b${item}\\b`).test(section))).toEqual([]);
});

test('docs/api.md names every error code of the core package', () => {
  const sources = readdirSync(join(CORE, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.ts') && !path.includes('.test.'),
  );
  const codes = new Set(
    sources.flatMap((path) =>
      [...readFileSync(join(CORE, 'src', path), 'utf8').matchAll(/code: '([A-Z_]{4,})'/g)].map(([, code]) => code!),
    ),
  );
  expect(codes.size).toBeGreaterThan(40);
  const missing = [...codes].filter((code) => !api.includes(code) && !api.includes(code.replace(/^[A-Z]+_/, '`')));
  expect(missing).toEqual([]);
});
