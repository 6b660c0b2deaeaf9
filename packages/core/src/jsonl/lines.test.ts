import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countLines, readLines, splitLines } from './lines.js';
import { type JsonlRecord, readJsonl } from './records.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jsonl-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(content: string | Uint8Array, name = 'x.jsonl'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function textsOf(lines: AsyncIterable<{ bytes: Uint8Array }>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { bytes } of lines) texts.push(Buffer.from(bytes).toString('utf8'));
  return texts;
}

async function recordsOf(path: string, options = {}): Promise<JsonlRecord[]> {
  const records: JsonlRecord[] = [];
  for await (const record of readJsonl(path, options)) records.push(record);
  return records;
}

const outcome = ({ line, error }: JsonlRecord): [number, string | undefined] => [line, error?.code];

describe('lines', () => {
  test.each([
    ['an empty file', '', []],
    ['one line', 'a\n', ['a']],
    ['a last line without an end', 'a\nb', ['a', 'b']],
    ['CRLF', 'a\r\nb\r\n', ['a', 'b']],
    ['a bare CR, which ends no line', 'a\rb\n', ['a\rb']],
    ['blank lines', '\n\na\n\n', ['', '', 'a', '']],
    ['a BOM at the start', '\ufeffa\n\ufeffb\n', ['a', '\ufeffb']],
    ['a BOM alone', '\ufeff', ['']],
    ['separators of Unicode, which end no line', 'a\u2028b\u0085c\n', ['a\u2028b\u0085c']],
  ])('are split in %s', async (_, content, expected) => {
    const path = await fileOf(content);
    expect(await textsOf(readLines(path))).toEqual(expected);
    expect(await countLines(path)).toBe(expected.length);
  });

  test('do not depend on the chunks that the bytes come in', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', '\n', '\r', '\r\n', 'é', '😀', '\ufeff') });
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(40)), async (text, cuts) => {
        const bytes = Buffer.from(text);
        const ends = [...cuts, bytes.length].sort((a, b) => a - b);
        async function* chunks() {
          let start = 0;
          for (const end of ends) {
            yield bytes.subarray(start, end);
            start = Math.max(start, end);
          }
        }
        const expected = text
          .replace(/^\ufeff/, '')
          .split('\n')
          .map((line) => line.replace(/\r$/, ''));
        if (text.endsWith('\n') || text === '') expected.pop();
        expect(await textsOf(splitLines(chunks(), 'x'))).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  test('of 10 MB are read whole, across many chunks', async () => {
    const long = 'é'.repeat(5_000_000);
    const path = await fileOf(`${long}\nb\n`);
    const texts = await textsOf(readLines(path));
    expect(texts.map(({ length }) => length)).toEqual([5_000_000, 1]);
    expect(texts[0] === long).toBe(true);
  });

  test('that are too long are reported with their length and their start, and those after them are read', async () => {
    const path = await fileOf(`${'x'.repeat(3_000_000)}\n[1]\n${'y'.repeat(101)}\n${'z'.repeat(100)}`);
    const lines = [];
    for await (const line of readLines(path, { maxLineBytes: 100 })) lines.push(line);
    expect(lines.map(({ line, bytes, error }) => [line, bytes.length, error?.code])).toEqual([
      [1, 1024, 'LINE_TOO_LONG'],
      [2, 3, undefined],
      [3, 101, 'LINE_TOO_LONG'],
      [4, 100, undefined],
    ]);
    expect(lines[0]?.error?.message).toBe(`the line has 3000000 bytes, 100 are allowed, ${path}:1`);
  });

  test('stop coming once the signal is aborted', async () => {
    const path = await fileOf('a\n'.repeat(2_000_000));
    const controller = new AbortController();
    const reason = new Error('enough');
    const read = async () => {
      for await (const { line } of readLines(path, { signal: controller.signal }))
        if (line === 5) controller.abort(reason);
    };
    await expect(read()).rejects.toBe(reason);
  });
});

describe('values', () => {
  test('come with their line numbers; blank lines count but bring none', async () => {
    const path = await fileOf('{"a": 1}\n\n \t\r\n[NaN]\n');
    expect(await recordsOf(path)).toEqual([
      { line: 1, value: { a: 1 }, raw: '{"a": 1}' },
      { line: 4, value: [Number.NaN], raw: '[NaN]' },
    ]);
  });

  test('keep every character of their text', async () => {
    const texts = [
      'ascii',
      'é',
      '\u20ac',
      '😀 x',
      '\ufeff',
      '\0',
      '\u2028',
      '\uffff',
      '\u{10ffff}',
      `${'x'.repeat(100_000)}π`,
    ];
    const path = await fileOf(texts.map((text) => `${JSON.stringify(text)}\n`).join(''));
    const records = await recordsOf(path);
    expect(records.map((record) => !record.error && record.value)).toEqual(texts);
    expect(records.map(({ raw }) => raw)).toEqual(texts.map((text) => JSON.stringify(text)));
  });

  test('that can not be read leave an error with file and line, and reading goes on', async () => {
    const bad = Buffer.concat([
      Buffer.from('1\n{"a"\n"\\ud800"\n"'),
      Buffer.from([0xff, 0xe9, 0x80]),
      Buffer.from('é"\n2'),
    ]);
    const path = await fileOf(bad);
    const records = await recordsOf(path);
    expect(records.map(outcome)).toEqual([
      [1, undefined],
      [2, 'NOT_JSON'],
      [3, 'LONE_SURROGATE'],
      [4, 'INVALID_UTF8'],
      [5, undefined],
    ]);
    for (const { line, error } of records) if (error) expect(error.message).toContain(`${path}:${line}`);
  });

  test('that are no UTF-8 keep their bytes, as with surrogateescape of Python', async () => {
    const path = await fileOf(
      Buffer.from([0x61, 0xff, 0xc3, 0xa9, 0xe2, 0x82, 0x62, 0xf0, 0x9f, 0x98, 0x80, 0xc3, 0x0a]),
    );
    const [record] = await recordsOf(path);
    expect(record?.raw).toBe('a\udcffé\udce2\udc82b😀\udcc3');
  });
});

describe('gzip', () => {
  test('is read by its first bytes, whatever the name', async () => {
    expect(await textsOf(readLines(await fileOf(gzipSync('a\nb'))))).toEqual(['a', 'b']);
  });

  test('of several members is read to the end, also where they meet at a chunk', async () => {
    const member = gzipSync('{"a": 1}\n');
    const path = await fileOf(Buffer.concat(Array(100_000).fill(member)), 'x.jsonl.gz');
    expect(await countLines(path)).toBe(100_000);
  });

  test('that is cut anywhere gives the lines before the cut and then GZIP_TRUNCATED', async () => {
    const whole = gzipSync('{"a": 1}\n{"b": 2}\n');
    for (let length = 0; length < whole.length; length++) {
      const path = await fileOf(whole.subarray(0, length), 'x.jsonl.gz');
      await expect(countLines(path)).rejects.toMatchObject({ code: 'GZIP_TRUNCATED', where: path });
    }
  });

  test('with a flipped bit, or by name only, is GZIP_CORRUPT', async () => {
    const flipped = gzipSync('{"a": 1}\n');
    flipped[flipped.length - 6]! ^= 1;
    for (const content of [flipped, '{"a": 1}\n']) {
      await expect(countLines(await fileOf(content, 'x.jsonl.gz'))).rejects.toMatchObject({ code: 'GZIP_CORRUPT' });
    }
  });

  test('bombs stay within the line limit', async () => {
    const path = await fileOf(gzipSync(Buffer.alloc(200_000_000, 'x')), 'bomb.gz');
    const before = process.memoryUsage().rss;
    expect((await recordsOf(path)).map(outcome)).toEqual([[1, 'LINE_TOO_LONG']]);
    expect(process.memoryUsage().rss - before).toBeLessThan(150e6);
  });
});

describe('zstd', () => {
  const fixture = fileURLToPath(new URL('fixtures/numbers.jsonl.zst', import.meta.url));

  test('of several frames and blocks is read as the zstd command packed it', async () => {
    const records = await recordsOf(fixture);
    const expected = (i: number) => ({ i, text: `${i % 7} `.repeat(i % 40) });
    expect(records.map((record) => !record.error && record.value)).toEqual(
      Array.from({ length: 8000 }, (_, i) => expected(i)),
    );
  });

  test('that is cut is ZSTD_TRUNCATED, that is damaged ZSTD_CORRUPT', async () => {
    const whole = await readFile(fixture);
    for (const length of [0, 3, 5, 20, 300, whole.length - 5, whole.length - 1]) {
      const path = await fileOf(whole.subarray(0, length), 'x.jsonl.zst');
      await expect(countLines(path)).rejects.toMatchObject({ code: 'ZSTD_TRUNCATED' });
    }
    const path = await fileOf('{"a": 1}\n'.repeat(10), 'x.jsonl.zst');
    await expect(countLines(path)).rejects.toMatchObject({ code: 'ZSTD_CORRUPT' });
  });
});

test.each([
  ['plain', Buffer.from('\ufeff{"a": 1}\n\n[2]')],
  ['gzip', gzipSync('{"a": 1}\n\n[2]')],
])('stdin is read as a file is: %s', (_, input) => {
  const library = new URL('../../dist/jsonl/index.js', import.meta.url);
  const program = `
    import { readJsonl } from ${JSON.stringify(library.href)};
    for await (const { line, value } of readJsonl('-')) console.log(line, JSON.stringify(value));`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { input });
  expect(stdout.toString()).toBe('1 {"a":1}\n3 [2]\n');
});

test('a missing file and a folder have their own errors', async () => {
  await expect(countLines(join(folder, 'missing'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  await expect(countLines(folder)).rejects.toMatchObject({ code: 'IS_A_FOLDER' });
});
