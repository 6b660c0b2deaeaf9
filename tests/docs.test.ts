import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
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

const pages = [
  'README.md',
  ...['docs', 'packages', 'apps'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.md') && !path.includes('node_modules') && !path.includes('/out/'))
      .map((path) => join(folder, path)),
  ),
];

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(page: string): string[] {
  const headings = [...readFileSync(page, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, title]) => title!.toLowerCase());
  return headings.map((title) => title.replace(/[^\p{L}\p{N}_ -]/gu, '').replaceAll(' ', '-'));
}

test.each(pages)('the links of %s lead to files and headings that are there', (page) => {
  const links = [...readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)/g)];
  const broken = links.filter(([, path, anchor]) => {
    const target = path ? join(ROOT, dirname(page), path) : join(ROOT, page);
    return !existsSync(target) || (anchor && !anchorsOf(target).includes(anchor));
  });
  expect(broken.map(([link]) => link)).toEqual([]);
});
