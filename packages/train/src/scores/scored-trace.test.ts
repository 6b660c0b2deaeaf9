import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readScoredTraces, type ScoredTrace } from './scored-trace.js';
import { sampleScoredTrace } from './scored-trace.test.support.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scored-trace-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function read(...lines: unknown[]): Promise<ScoredTrace[]> {
  const path = join(folder, 'scores.jsonl');
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const traces: ScoredTrace[] = [];
  for await (const trace of readScoredTraces(path)) traces.push(trace);
  return traces;
}

test('reads the traces in the order of the file and passes over fields that it does not know', async () => {
  const traces = [
    sampleScoredTrace({ step_scores: [0.25, 0.5], score: 0.375, prompt_tokens: 7 }),
    sampleScoredTrace({ extracted_answer: null, tokens: 0, score: null }),
  ];
  expect(await read({ ...traces[0], extra: 1 }, traces[1])).toEqual(traces);
});

test.each([
  ['a score as text', { score: '0.5' }, 'score: '],
  ['a missing label', { is_correct: undefined }, 'is_correct: '],
  ['a negative position', { step_positions: [-1], step_scores: [0.5] }, 'step_positions.0: '],
  ['more scores than positions', { step_positions: [1], step_scores: [0.5, 0.6] }, '1 positions for 2 step scores'],
  ['positions out of order', { step_positions: [2, 2], step_scores: [0.5, 0.6] }, 'they do not ascend'],
])('%s is an error that names the field and the line', async (_, wrong, message) => {
  await expect(read(sampleScoredTrace(), { ...sampleScoredTrace(), ...wrong })).rejects.toMatchObject({
    code: 'SCORED_TRACE_INVALID',
    kind: 'input',
    what: expect.stringContaining(message),
    where: expect.stringMatching(/scores\.jsonl:2$/),
  });
});

test('a line that is no JSON is an error, too', async () => {
  const path = join(folder, 'broken.jsonl');
  writeFileSync(path, '{"question": ');
  await expect(readScoredTraces(path).next()).rejects.toMatchObject({ code: 'NOT_JSON' });
});
