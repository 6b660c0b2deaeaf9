import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type SampleTrace, writeShard } from '../sample-shards.test.support.js';
import { writeSampleScorer } from './sample-scorer.test.support.js';
import { type ScoreOptions, scoreTraces } from './score-traces.js';
import type { ScoredTrace } from './scored-trace.js';

let folder: string;
let outputs = 0;
const at = (...names: string[]): string => join(folder, ...names);
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'score-'));
  mkdirSync(at('hs'));
  await writeShard(at('hs/a.safetensors'), TRACES.slice(0, 3), SHAPE);
  await writeShard(at('hs/b.safetensors'), TRACES.slice(3), SHAPE);
  await writeSampleScorer(at('scorer'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const SHAPE = { layers: [1, 3], hiddenSize: 2 };
/** A trace whose rows hold these numbers in the last layer, and their negatives in the other. */
const trace = (question: string, values: number[], more: Partial<SampleTrace> = {}): SampleTrace => ({
  question,
  isCorrect: false,
  states: new Map([
    [1, values.map((value) => new Float32Array([9, -value]))],
    [3, values.map((value) => new Float32Array([9, value]))],
  ]),
  ...more,
});
const TRACES = [
  trace('a', [0.5, 1, 1.5], { isCorrect: true }),
  trace('b', [2, 0.25, 3], { regions: [0, 1, 1] }),
  trace('a', []),
  trace('b', [4], { isCorrect: true }),
  trace('c', [1.25, -7]),
];
const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z));

async function score(options: Partial<ScoreOptions> = {}) {
  const outputFile = at(`scores-${outputs++}.jsonl`);
  const warnings: string[] = [];
  const result = await scoreTraces({
    scorer: at('scorer'),
    inputDir: at('hs'),
    outputFile,
    device: 'cpu',
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  return { result, warnings, traces: readTraces(options.outputFile ?? outputFile) };
}

function readTraces(path: string): ScoredTrace[] {
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('score', () => {
  test('refuses a hidden state that gives no score, by its trace and step, and leaves nothing', async () => {
    mkdirSync(at('nan'));
    const traces = [...TRACES, trace('d', [1, 2]), trace('e', [1, Number.NaN])];
    await writeShard(at('nan/a.safetensors'), TRACES, SHAPE);
    await writeShard(at('nan/b.safetensors'), traces, SHAPE);
    await expect(score({ inputDir: at('nan'), outputFile: at('nan/scores.jsonl') })).rejects.toMatchObject({
      code: 'SCORE_NOT_FINITE',
      message: expect.stringContaining('step 2 of trace 6'),
      where: at('nan/b.safetensors'),
    });
    expect(readdirSync(at('nan')).sort()).toEqual(['a.safetensors', 'b.safetensors']);
  });

  test('writes a line for each trace, in the order of the shards, with the probability of each step', async () => {
    const { result, traces, warnings } = await score();
    expect(warnings).toEqual([]);
    expect(result).toMatchObject({
      traces: 5,
      right: 2,
      steps: 8,
      tracesWithoutSteps: 1,
      rejected: 0,
      repeated: false,
    });
    expect(traces.map(({ shard, trace_index }) => `${shard} ${trace_index}`)).toEqual([
      'a.safetensors 0',
      'a.safetensors 1',
      'a.safetensors 2',
      'b.safetensors 0',
      'b.safetensors 1',
    ]);
    expect(traces[0]).toMatchObject({ question: 'a', is_correct: true, tokens: 4, step_positions: [0, 1, 2] });
    for (const [step, value] of [0.5, 1, 1.5].entries()) {
      expect(traces[0]!.step_scores[step]).toBeCloseTo(sigmoid(value), 6);
    }
    expect(traces[2]).toMatchObject({ step_scores: [], step_positions: [], score: null });
  });

  test("the trace's score is the mean of the steps of its reasoning", async () => {
    const { traces } = await score();
    expect(traces[1]).toMatchObject({ tokens: 4, step_positions: [1, 2] });
    const [first, second] = traces[1]!.step_scores;
    expect(traces[1]!.score).toBe((first! + second!) / 2);
    expect(second).toBeCloseTo(sigmoid(3), 6);
  });

  test.each([
    ['last', sigmoid(1.5)],
    ['min', sigmoid(0.5)],
    ['product', sigmoid(0.5) * sigmoid(1) * sigmoid(1.5)],
    ['last_k:2', (sigmoid(1) + sigmoid(1.5)) / 2],
    ['exp_mean:0.5', (sigmoid(0.5) / 4 + sigmoid(1) / 2 + sigmoid(1.5)) / 1.75],
  ])('or what --aggregate %s makes of them', async (aggregate, expected) => {
    const { traces, result } = await score({ aggregate });
    expect(traces[0]!.score).toBeCloseTo(expected, 6);
    expect(result.aggregate).toBe(aggregate);
  });

  test('the steps of the prompt count where the scorer was trained on them, or where it is asked for, with a warning', async () => {
    await writeSampleScorer(at('all-regions'), { regions: 'all' });
    const asTrained = await score({ scorer: at('all-regions') });
    expect(asTrained.warnings).toEqual([]);
    expect(asTrained.traces[1]!.step_positions).toEqual([0, 1, 2]);

    const asked = await score({ regions: 'all' });
    expect(asked.warnings).toEqual(['the scorer was trained on --regions reasoning, and scores all']);
    expect(asked.traces.map(({ step_scores }) => step_scores)).toEqual(
      asTrained.traces.map(({ step_scores }) => step_scores),
    );
  });

  test('reads the layer that the scorer learned from, whichever others the shards keep', async () => {
    await writeSampleScorer(at('first-layer'), { feature_layers: [1], layers: [1] });
    const { traces } = await score({ scorer: at('first-layer') });
    expect(traces[4]!.step_scores).toEqual([0.5, expect.closeTo(sigmoid(7), 6)]);
  });

  test('puts layers together as in training', async () => {
    await writeSampleScorer(at('concat'), { feature: 'concat', feature_layers: [1, 3], input_size: 4 });
    await writeSampleScorer(at('mean'), { feature: 'layer_mean', feature_layers: [1, 3] });
    expect((await score({ scorer: at('concat') })).traces).toEqual((await score()).traces);
    expect((await score({ scorer: at('mean') })).traces[3]!.step_scores).toEqual([0.5]);
  });

  test('a bare file of weights gets the last layer, and that is said', async () => {
    const { traces, warnings } = await score({ scorer: at('scorer/scorer.safetensors') });
    expect(warnings).toEqual([
      expect.stringContaining('taken are the last layer and the steps of --regions reasoning'),
    ]);
    expect(traces).toEqual((await score()).traces);
  });

  test.each([
    ['of another model', { model_fingerprint: 'f'.repeat(64) }, 'MODEL_MISMATCH'],
    ['that reads a layer which is not kept', { feature_layers: [2] }, 'LAYER_NOT_KEPT'],
    ['of another width', { input_size: 5 }, 'SCORER_DOES_NOT_FIT'],
  ])('a scorer %s is refused', async (name, config, code) => {
    await writeSampleScorer(at(name), config);
    const outputFile = at(`${name}.jsonl`);
    await expect(score({ scorer: at(name), outputFile })).rejects.toMatchObject({ code, kind: 'input' });
    expect(readdirSync(folder)).not.toContain(`${name}.jsonl`);
  });

  test('traces that preprocessing refused are added as wrong, without score', async () => {
    const raw = { question: 'a', response: 'no end', ground_truth: 12, extracted_answer: null };
    const rejects = [
      { line: 7, code: 'NO_ANSWER', reason: '', raw: JSON.stringify(raw) },
      { line: 8, code: 'NOT_JSON', reason: '', raw: '{"question": "a", ' },
      {
        line: 9,
        code: 'NO_THINK',
        reason: '',
        raw: JSON.stringify({ ...raw, question: 'new', extracted_answer: '12' }),
      },
    ];
    writeFileSync(at('raw.rejects.jsonl'), rejects.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const { result, traces } = await score({ rejects: [at('raw.rejects.jsonl')] });
    expect(result).toMatchObject({ traces: 5, rejected: 2, rejectsWithoutQuestion: 1 });
    const refused = { is_correct: false, extracted_answer: null, score: null, step_scores: [], ground_truth: '12' };
    expect(traces.slice(5)).toEqual([
      expect.objectContaining({ ...refused, shard: 'raw.rejects.jsonl', trace_index: 6, question: 'a' }),
      expect.objectContaining({ ...refused, shard: 'raw.rejects.jsonl', trace_index: 8, question: 'new' }),
    ]);
  });

  test('options that are undefined are as if they were not given', async () => {
    const options = { rejects: undefined, aggregate: undefined, regions: undefined, only: undefined };
    expect((await score(options)).traces).toEqual((await score()).traces);
  });

  test('--only validation takes the traces that the split of the scorer names', async () => {
    const split = { format: 'scorer.split', version: 1, kind: 'question' };
    const validation = [
      { shard: 'a.safetensors', trace_index: [1] },
      { shard: 'b.safetensors', trace_index: [0] },
    ];
    writeFileSync(at('scorer/split.json'), JSON.stringify({ ...split, validation }));
    const all = (await score()).traces;
    const { traces, result } = await score({ only: 'validation' });
    expect(result).toMatchObject({ traces: 2 });
    expect(traces).toEqual([all[1], all[3]]);

    writeFileSync(at('other.json'), JSON.stringify({ ...split, validation: [{ shard: 'z', trace_index: [0] }] }));
    await expect(score({ only: at('other.json') })).rejects.toMatchObject({ code: 'SPLIT_MISMATCH' });
  });
});

describe('an output', () => {
  test('that is finished is repeated, not made again', async () => {
    const outputFile = at('done.jsonl');
    const first = await score({ outputFile });
    const second = await score({ outputFile });
    expect(second.result).toEqual({ ...first.result, repeated: true });
  });

  test('of other settings or another scorer is refused', async () => {
    const outputFile = at('other.jsonl');
    await score({ outputFile });
    await writeSampleScorer(at('brighter'), { bias: 1 });
    for (const [other, what] of [
      [{ aggregate: 'last' }, 'it was made with other input or settings (aggregate)'],
      [{ scorer: at('brighter') }, 'it was made with other input or settings (scorer)'],
      [{ regions: 'all' }, 'it was made with other input or settings (regions)'],
    ] as const) {
      await expect(score({ ...other, outputFile })).rejects.toMatchObject({
        code: 'OUTPUT_EXISTS',
        what: expect.stringContaining(what),
      });
    }
    expect((await score({ aggregate: 'last', outputFile, overwrite: 'replace' })).result.repeated).toBe(false);
    expect((await score({ aggregate: 'last', outputFile })).result.repeated).toBe(true);
  });

  test('that is read itself is refused, whether it may be replaced or not', async () => {
    for (const outputFile of [at('hs/a.safetensors'), at('scorer/scorer.safetensors')]) {
      const bytes = readFileSync(outputFile);
      await expect(score({ outputFile, overwrite: 'replace' })).rejects.toMatchObject({ code: 'OUTPUT_IS_INPUT' });
      expect(readFileSync(outputFile)).toEqual(bytes);
    }
  });

  test('of someone else is refused', async () => {
    const outputFile = at('foreign.jsonl');
    writeFileSync(outputFile, 'mine\n');
    await expect(score({ outputFile })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    expect(readFileSync(outputFile, 'utf8')).toBe('mine\n');
    expect((await score({ outputFile, overwrite: 'replace' })).traces).toHaveLength(5);
  });

  test('that was stopped goes on after its last whole line, with the same bytes', async () => {
    const whole = at('whole.jsonl');
    await score({ outputFile: whole });
    const bytes = readFileSync(whole);
    for (const cut of [0, 10, bytes.indexOf('\n'), bytes.indexOf('\n') + 1, bytes.length - 5]) {
      const outputFile = at('cut.jsonl');
      await score({ outputFile });
      // As if the run had been killed: no file under the name, part of one under the hidden name.
      writeFileSync(at('.cut.jsonl.partial'), bytes.subarray(0, cut));
      rmSync(outputFile);
      const { result } = await score({ outputFile });
      expect(result).toMatchObject({ traces: 5, steps: 8, repeated: false });
      expect(readFileSync(outputFile)).toEqual(bytes);
      expect(readdirSync(folder).filter((name) => name.startsWith('.cut'))).toEqual(['.cut.jsonl.score.json']);
      rmSync(outputFile);
    }
  });

  test('that was changed afterwards is refused', async () => {
    const outputFile = at('changed.jsonl');
    await score({ outputFile });
    truncateSync(outputFile, 10);
    await expect(score({ outputFile })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  });
});
