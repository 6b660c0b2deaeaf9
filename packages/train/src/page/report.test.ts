import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Script } from 'node:vm';
import { inflateSync } from 'node:zlib';
import { openShardWriter } from '@scorer/core/shards';
import { JSDOM } from 'jsdom';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sampleDetails } from '../plots/fixtures/sample-run.js';
import type { ScoredTrace } from '../scores/scored-trace.js';
import { sampleScoredTrace } from '../scores/scored-trace.test.support.js';
import { report } from './report.js';
import type { TraceDetail, TraceOverview } from './viewer/data.js';
import { readViewerScript } from './viewer-script.js';

const HOSTILE = '</script><img src=x onerror="alert(1)"><!-- & \u2028';
const PROMPT = '<user>\n';
const THOUGHT = `One.\n\nTwo ${HOSTILE}.\n\nThree`;

let folder: string;
const at = (name: string): string => join(folder, name);

/** Six questions with four traces each, the first of them of hostile texts. */
const traces = Array.from({ length: 24 }, (_, i): ScoredTrace => {
  const isRight = i % 4 === 0;
  return sampleScoredTrace({
    shard: 'a_hiddenstates_0_24.safetensors',
    trace_index: i,
    question: i < 4 ? HOSTILE : `question ${Math.floor(i / 4)}`,
    ground_truth: i < 4 ? HOSTILE : '1',
    extracted_answer: isRight ? (i < 4 ? HOSTILE : '1') : String(i),
    is_correct: isRight,
    tokens: 30,
    prompt_tokens: 4,
    step_positions: [9, 19],
    step_scores: [0.3, isRight ? 0.8 : 0.4],
    score: isRight ? 0.55 : 0.35,
  });
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'report-'));
  mkdirSync(at('hs'));
  const origin = { model: 'm', model_fingerprint: '0'.repeat(64), input_fingerprint: '1'.repeat(64) };
  const metadata = { ...origin, dtype: 'float32', device: 'cpu', runtime: 'none' };
  const options = { layers: [1], hiddenSize: 1, storage: 'F16' as const, metadata };
  const writer = await openShardWriter(at('hs/a_hiddenstates_0_24.safetensors'), options);
  for (const { trace_index, is_correct, question, ground_truth, extracted_answer } of traces) {
    await writer.append({
      traceIndex: trace_index,
      isCorrect: is_correct,
      inputIds: Int32Array.from({ length: 30 }, (_, token) => token),
      stepPositions: Int32Array.of(9, 19),
      stepRegions: Uint8Array.of(1, 1),
      texts: {
        question,
        ground_truth,
        extracted_answer: extracted_answer!,
        full_forward_text: PROMPT + THOUGHT,
        original_response: `${THOUGHT}</think>end`,
      },
      hiddenStates: new Map([[1, new Uint8Array(4)]]),
    });
  }
  await writer.seal();
  writeFileSync(at('scores.jsonl'), traces.map((trace) => `${JSON.stringify(trace)}\n`).join(''));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function page(options: Partial<Parameters<typeof report>[0]> = {}) {
  const usual = { scores: at('scores.jsonl'), outputFile: at('page.html'), inputDir: at('hs') };
  const result = await report({ ...usual, resamples: 20, overwrite: 'replace', ...options });
  const { document } = new JSDOM(readFileSync(at('page.html'), 'utf8')).window;
  const text = (selector: string): string => document.querySelector(selector)!.textContent;
  const blocks = [...document.querySelectorAll('script[data-traces]')].map(({ textContent }): TraceDetail[] =>
    JSON.parse(inflateSync(Buffer.from(textContent, 'base64')).toString()),
  );
  const overview: TraceOverview = JSON.parse(text('#trace-overview'));
  return { result, document, text, overview, details: blocks.flat() };
}

describe('report', () => {
  it('holds every trace with its text cut at its steps, and the table of the votes', async () => {
    const { overview, details, document, result } = await page();
    expect(result.shownTraces).toBe(24);
    expect(overview.traces).toHaveLength(24);
    expect(overview.blockStarts).toEqual([0]);
    expect(details[7]!.pieces).toEqual([
      ['One.\n\n', 0],
      [`Two ${HOSTILE}.\n\n`, 1],
      ['Three</think>end', null],
    ]);
    const rows = [...document.querySelectorAll('tbody th')].map(({ textContent }) => textContent);
    expect(rows).toEqual(expect.arrayContaining(['Weighted by score', 'Majority', 'Shortest trace']));
  });

  it('keeps hostile texts as text: no element comes of them, and none of its own is broken', async () => {
    const { document, overview } = await page();
    expect([...document.querySelectorAll('img, iframe, object, [onerror]')]).toEqual([]);
    expect(overview.questions[0]).toEqual({ text: HOSTILE, truth: HOSTILE });
    expect(overview.traces[0]!.answer).toBe(HOSTILE);
    expect(document.querySelectorAll('script:not([type])')).toHaveLength(3);
  });

  it('loads nothing: no element refers outside, and its policy allows its own scripts alone', async () => {
    const { document } = await page();
    expect([...document.querySelectorAll('[src], [href], [action], [data], link')]).toEqual([]);
    const policy = document.querySelector('meta[http-equiv]')!.getAttribute('content');
    expect(policy).toMatch(/^default-src 'none'; script-src( 'sha256-[\w+/=]+'){3};/);
  });

  it('gives the same bytes for the same input, and overwrites no other file unless told to', async () => {
    await page();
    const { result } = await page({ overwrite: 'refuse' });
    expect(result.repeated).toBe(true);
    await expect(page({ overwrite: 'refuse', maxTraces: 4 })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  });

  it('carries a program that is one script, with nothing left to import', async () => {
    const script = await readViewerScript();
    expect(() => new Script(script)).not.toThrow();
    expect(script).not.toMatch(/^(import|export) /m);
  });

  it('warns where only some of the traces were held out, and not where all were or none', async () => {
    const warnings = async (heldOut: readonly number[]): Promise<number> => {
      const validation = [{ shard: traces[0]!.shard, trace_index: heldOut }];
      const split = { format: 'scorer.split', version: 1, kind: 'question', validation };
      writeFileSync(at('checkpoint/split.json'), JSON.stringify(split));
      const { document } = await page({ checkpoint: at('checkpoint') });
      return document.querySelectorAll('.warning[role=note]').length;
    };
    mkdirSync(at('checkpoint'));
    writeFileSync(at('checkpoint/config.json'), JSON.stringify(sampleDetails().config));
    const all = traces.map(({ trace_index }) => trace_index);
    expect([await warnings(all.slice(0, 20)), await warnings(all), await warnings([99])]).toEqual([1, 0, 0]);
  });

  it('shows whole questions up to its limit, drawn at random, and says so', async () => {
    const { overview, text } = await page({ maxTraces: 10 });
    expect(overview.traces).toHaveLength(8);
    expect(overview.questions).toHaveLength(2);
    expect(text('#trace-viewer .note')).toContain('8 of 24 traces: those of 2 questions drawn at random');
  });

  it('shows scores alone without the shards, and says of how many traces', async () => {
    const { details, text } = await page({ inputDir: undefined });
    expect(details[0]).toEqual({ scores: [0.3, 0.8], pieces: [] });
    expect(text('#trace-viewer .note')).toContain('24 of them without their text');
  });

  it('refuses the shards of other traces, whose texts would stand beside the wrong scores', async () => {
    const moved = traces.map((trace, i) => ({ ...trace, trace_index: (i + 4) % 24 }));
    writeFileSync(at('moved.jsonl'), moved.map((trace) => `${JSON.stringify(trace)}\n`).join(''));
    await expect(page({ scores: at('moved.jsonl') })).rejects.toMatchObject({ code: 'SCORES_OF_OTHER_SHARDS' });
  });

  it('shows how sure the model was beside the scorer, where the scores say so', async () => {
    const tokens = (isRight: boolean) => ({ mean: isRight ? 9 : 8, tail: 7 + Number(isRight), steps: [null, 8.5] });
    const confident = traces.map((trace) => ({ ...trace, confidence: tokens(trace.is_correct) }));
    writeFileSync(at('confident.jsonl'), confident.map((trace) => `${JSON.stringify(trace)}\n`).join(''));
    const headings = async (scores: string): Promise<string[]> => {
      const { document } = await page({ scores: at(scores) });
      return [...document.querySelectorAll('h2, th')].map(({ textContent }) => textContent);
    };
    expect(await headings('scores.jsonl')).not.toContain('Token confidence');
    expect(await headings('confident.jsonl')).toEqual(
      expect.arrayContaining(['Token confidence', 'Tail', 'Scorer + mean', 'top 10 %, weighted']),
    );
  });

  it('shows how well first wrong steps are found, in all and of each source, where steps have labels', async () => {
    const labelled = traces.map((trace, i) => ({
      ...trace,
      shard: `${i % 8 < 4 ? 'gsm8k' : HOSTILE}_hiddenstates_0_24.safetensors`,
      step_labels: trace.is_correct ? [1, 1] : [1, 0],
      // A threshold between 0.4 and 0.55 finds all errors of the one source, and none finds the other's.
      step_scores: trace.is_correct ? [0.55, 0.8] : i % 8 < 4 ? [0.6, 0.4] : [0.3, 0.35],
    }));
    writeFileSync(at('labelled.jsonl'), labelled.map((trace) => `${JSON.stringify(trace)}\n`).join(''));
    const { document } = await page({ scores: at('labelled.jsonl'), inputDir: undefined });
    const rows = [...document.querySelectorAll('[aria-labelledby="first-errors"] tbody tr')].map((row) =>
      [...row.querySelectorAll('th, td')].map(({ textContent }) => textContent.replace(/ \[.*\]$/, '')),
    );
    expect(rows).toEqual([
      ['gsm8k 8 traces, 6 wrong', '100.0 %', '100.0 %', '100.0 %'],
      [`${HOSTILE} 4 traces, 3 wrong`, '0.0 %', '100.0 %', '0.0 %'],
      ['All 12 traces, 9 wrong', '66.7 %', '100.0 %', '80.0 %'],
      ['Mean of the sources', '–', '–', '50.0 %'],
    ]);
    expect((await page()).document.body.textContent).not.toContain('First wrong steps');
  });

  it('does without early stopping where there is one question', async () => {
    writeFileSync(at('one.jsonl'), `${JSON.stringify(traces[5])}\n${JSON.stringify(traces[6])}\n`);
    const { result, document } = await page({ scores: at('one.jsonl') });
    expect(result.simulation).toBeUndefined();
    expect(document.body.textContent).toContain('too few');
  });

  it('never takes the place of the scores', async () => {
    await expect(page({ outputFile: at('scores.jsonl') })).rejects.toMatchObject({ code: 'OUTPUT_IS_INPUT' });
  });

  it('refuses stdin, which can be read only once', async () => {
    await expect(page({ scores: '-' })).rejects.toMatchObject({ code: 'BAD_OPTION', kind: 'usage' });
  });
});
