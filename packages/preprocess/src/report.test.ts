import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { preprocessFiles } from './preprocess-file.js';
import { renderReport, writeReport } from './report.js';
import { type RunTotals, totalsOf } from './summary.js';

const DEMO_MODEL = fileURLToPath(new URL('../../../apps/demo/data/model', import.meta.url));
const DEMO_TRACES = fileURLToPath(new URL('../../../apps/demo/data/traces.jsonl', import.meta.url));

let folder: string;
let totals: RunTotals;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'scorer-report-'));
  const options = { inputFiles: [DEMO_TRACES], outputDir: 'pre', tokenizerPath: DEMO_MODEL, dryRun: true };
  totals = totalsOf((await preprocessFiles(options)).files);
});
afterAll(() => rm(folder, { recursive: true }));

describe('the report', () => {
  it('draws every trace once by its tokens and by its steps, and every question once', () => {
    const [file] = totals.files;
    const [, json] = /id="figures">(.*?)<\/script>/.exec(renderReport(totals, ''))!;
    const figures = JSON.parse(json!);
    const heights = (name: string): number =>
      figures[name].light.data.flatMap(({ y }: { y: number[] }) => y).reduce((a: number, b: number) => a + b, 0);
    expect(heights('tokens-0')).toBe(file!.traces_out);
    expect(heights('steps-0')).toBe(file!.traces_out);
    expect(heights('shares-0')).toBe(file!.questions);
    expect(figures['tokens-0'].light.data[0].y.reduce((a: number, b: number) => a + b)).toBe(file!.correct);
  });

  it('names files without the folders they lie in', () => {
    const page = renderReport({ ...totals, files: [{ ...totals.files[0]!, output_file: '/home/me/raw.jsonl' }] }, '');
    expect(page).toContain('<h1>raw.jsonl</h1>');
    expect(page).not.toContain('/home/me');
  });

  it('lists the rejected lines by code', () => {
    const [file] = totals.files;
    expect(file!.rejects.NO_ANSWER).toBeGreaterThan(0);
    expect(renderReport(totals, '')).toContain(`NO_ANSWER</th><td>${file!.rejects.NO_ANSWER}</td>`);
  });

  it('is one file with its charts’ library in it, the same one each time', async () => {
    const path = join(folder, 'report.html');
    await writeReport(path, totals);
    const page = await readFile(path, 'utf8');
    expect(page.length).toBeGreaterThan(1_000_000);
    expect(/<(script|link|img|iframe)\b[^>]*\s(src|href)=/.test(page.split('<script')[0]!)).toBe(false);
    await writeReport(path, totals);
    expect((await readFile(path, 'utf8')) === page).toBe(true);
  });
});
