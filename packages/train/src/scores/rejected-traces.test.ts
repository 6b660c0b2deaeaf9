import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readRejectedTraces } from './rejected-traces.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rejects-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function read(...lines: object[]) {
  const path = join(folder, 'raw.rejects.jsonl');
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const traces = [];
  for await (const trace of readRejectedTraces(path)) traces.push(trace);
  return traces;
}

const REJECT = { line: 7, code: 'NO_ANSWER', reason: 'no answer', raw: '{"question": "q", "ground_truth": 4}' };

test('a refused line is a wrong trace without score, or none where its text names no question', async () => {
  expect(await read(REJECT, { ...REJECT, line: 8, raw: '{"question": "q' })).toEqual([
    expect.objectContaining({ trace_index: 6, question: 'q', ground_truth: '4', is_correct: false, score: null }),
    undefined,
  ]);
});

test.each([
  ['a scored trace', { shard: 'a.safetensors', trace_index: 0, score: 0.5 }],
  ['a line without the text that was refused', { ...REJECT, raw: undefined }],
  ['line numbers that begin at 0', { ...REJECT, line: 0 }],
])('%s is no line of a rejects file, and is named', async (_, other) => {
  await expect(read(REJECT, other)).rejects.toMatchObject({
    code: 'REJECTS_INVALID',
    kind: 'input',
    where: join(folder, 'raw.rejects.jsonl:2'),
  });
});
