import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openShardWriter } from '@scorer/core/shards';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { traceConfidence } from './confidence.js';
import { writeSampleScorer } from './sample-scorer.test.support.js';
import { type ScoreOptions, scoreTraces } from './score-traces.js';
import { readScoredTraces, type ScoredTrace } from './scored-trace.js';

const tokens = (confidences: number[]) => ({
  confidences: Float32Array.from(confidences),
  logprobs: Float32Array.from(confidences, (value) => -value / 8),
});

describe('the confidence of a trace', () => {
  test('of fewer tokens than a group has is their mean, whichever the measure, and no group ends in a step', () => {
    const confidence = traceConfidence(tokens([1, 2, 6]), [1, 3], { window: 4, tail: 4 });
    expect(confidence).toMatchObject({ mean: 3, tail: 3, bottom_group: 3, lowest_group: 3, mean_logprob: -0.375 });
    expect(confidence).toMatchObject({ steps: [1, 4], step_groups: [null, null] });
  });

  test('of as many tokens as a group has is that group', () => {
    const confidence = traceConfidence(tokens([1, 2, 6]), [2, 3], { window: 3, tail: 1 });
    expect(confidence).toMatchObject({ lowest_group: 3, bottom_group: 3, tail: 6, step_groups: [null, 3] });
  });

  test('falls with its worst stretch, wherever that is', () => {
    const worstInTheMiddle = [9, 9, 1, 1, 9, 9, 9, 9, 9, 9];
    const confidence = traceConfidence(tokens(worstInTheMiddle), [2, 4, 10], { window: 2, tail: 2 });
    expect(confidence).toMatchObject({ lowest_group: 1, bottom_group: 1, tail: 9, step_groups: [9, 1, 5] });
  });

  test('leaves the steps of the prompt without, and what comes before their end out of the first parts', () => {
    const confidence = traceConfidence(tokens([4, 8]), [-3, 0, 1, 2], { window: 1, tail: 1 })!;
    expect(confidence.steps).toEqual([null, null, 4, 8]);
    expect(confidence.by_fraction).toEqual({ '0.75': expect.objectContaining({ mean: 4, tail: 4 }) });
  });

  test('is none where there is no token', () => {
    expect(traceConfidence(tokens([]), [-2], { window: 2, tail: 2 })).toBeUndefined();
  });
});

describe('score', () => {
  let folder: string;
  let outputs = 0;
  const at = (...names: string[]): string => join(folder, ...names);
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'confidence-'));
    mkdirSync(at('hs'));
    await writeSampleScorer(at('scorer'));
    const metadata = {
      model: 'sample',
      model_fingerprint: '0'.repeat(64),
      input_fingerprint: '1'.repeat(64),
      dtype: 'float32',
      device: 'cpu',
      runtime: 'none',
    };
    const shape = { layers: [3], hiddenSize: 2, storage: 'F16' as const, confidenceTopK: 20 };
    const writer = await openShardWriter(at('hs/a.safetensors'), { ...shape, metadata });
    for (const [traceIndex, confidences] of [[4, 2, 8, 6, 5], []].entries()) {
      await writer.append({
        traceIndex,
        isCorrect: true,
        inputIds: new Int32Array(3 + confidences.length),
        // The first step ends in the prompt of three tokens.
        stepPositions: confidences.length > 0 ? Int32Array.of(1, 4, 6) : Int32Array.of(1),
        stepRegions: confidences.length > 0 ? Uint8Array.of(0, 1, 1) : Uint8Array.of(0),
        texts: { question: 'q', original_response: '', full_forward_text: '', ground_truth: '', extracted_answer: '' },
        hiddenStates: new Map([[3, new Uint8Array(confidences.length > 0 ? 12 : 4)]]),
        confidence: tokens(confidences),
      });
    }
    await writer.seal();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

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
    const lines = readFileSync(result.outputFile, 'utf8').trim().split('\n');
    return { warnings, traces: lines.map((line): ScoredTrace => JSON.parse(line)) };
  }

  test('writes how sure the model was at the end of a line, and counts the prompt', async () => {
    const { traces, warnings } = await score({ confidenceWindow: 2, confidenceTail: 3 });
    expect(warnings).toEqual([]);
    expect(Object.keys(traces[0]!).at(-1)).toBe('confidence');
    expect(traces[0]).toMatchObject({ tokens: 8, prompt_tokens: 3, step_positions: [4, 6] });
    expect(traces[0]!.confidence).toMatchObject({
      mean: 5,
      tail: expect.closeTo(19 / 3, 12),
      lowest_group: 3,
      bottom_group: 3,
      mean_logprob: -0.625,
      steps: [3, 7],
      step_groups: [3, 5],
    });
    expect(traces[1]).not.toHaveProperty('confidence');
    expect(traces[1]).toMatchObject({ prompt_tokens: 3, step_scores: [] });
  });

  test('counts the steps of the prompt as steps without tokens where they are asked for', async () => {
    const { traces } = await score({ regions: 'all', confidenceWindow: 2 });
    expect(traces[0]!.confidence).toMatchObject({ steps: [null, 3, 7], step_groups: [null, 3, 5] });
  });

  test('says where every trace is shorter than a group', async () => {
    const { warnings, traces } = await score();
    expect(warnings).toEqual([expect.stringContaining('no trace has 2048 tokens')]);
    expect(traces[0]!.confidence).toMatchObject({ mean: 5, tail: 5, bottom_group: 5, lowest_group: 5 });
  });

  test('refuses to go on with the lines of another window', async () => {
    const outputFile = at('window.jsonl');
    await score({ outputFile, confidenceWindow: 2 });
    await expect(score({ outputFile, confidenceWindow: 3 })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  });

  test('a line whose confidence has other steps than scores is refused by its number', async () => {
    const { traces } = await score({ confidenceWindow: 2 });
    const cut = { ...traces[0]!, confidence: { ...traces[0]!.confidence, steps: [3] } };
    writeFileSync(at('cut.jsonl'), `${JSON.stringify(traces[0])}\n${JSON.stringify(cut)}\n`);
    const read = async (): Promise<void> => {
      for await (const _ of readScoredTraces(at('cut.jsonl')));
    };
    await expect(read()).rejects.toMatchObject({
      code: 'SCORED_TRACE_INVALID',
      where: `${at('cut.jsonl')}:2`,
      what: expect.stringContaining('confidence.steps'),
    });
  });
});
