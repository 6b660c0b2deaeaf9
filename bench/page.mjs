// The page of scorer-train report in a real browser: its size, how soon its traces are there, how it feels to use.
//
//     pnpm build && node bench/page.mjs [traces] [steps a trace]
//
// The traces (2,000 unless told, 16 a question, 50 steps and about 1,300 words each) come from a seeded generator. The
// browser is Chromium, headless (tools/chromium.mjs); its tracing gives the times. Opened several times; shown is the
// median.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { report } from '../packages/train/dist/page/report.js';
import { openBrowser } from '../tools/chromium.mjs';
import { scoredTraces, writeScores, writeShards } from '../tools/scored-traces.mjs';

const OPENINGS = 5;
const PRESSES = 200;
const FRAMES = 200;
/** Of a list that is scrolled from end to end. */
const SCROLL_PIXELS = 600;

const [traces, steps] = [2000, 50].map((usual, i) => Number(process.argv[2 + i] ?? usual));
const folder = mkdtempSync(join(tmpdir(), 'page-'));
try {
  const page = await makePage();
  const openings = [];
  for (let i = 0; i < OPENINGS; i++) openings.push(await measureOpening(page));
  const median = (name) =>
    openings
      .map((opening) => opening[name])
      .sort((a, b) => a - b)
      [OPENINGS >> 1].toFixed(0);
  console.log(`opened: first trace shown after ${median('shown')} ms, first paint ${median('painted')} ms`);
  console.log(`        main thread busy for ${median('busy')} ms, ${median('cpu')} ms of it on a processor`);
  await measureUse(page);
} finally {
  rmSync(folder, { recursive: true });
}

async function makePage() {
  const size = { traces, perQuestion: 16, steps };
  const [scores, inputDir, outputFile] = ['scores.jsonl', 'hs', 'page.html'].map((name) => join(folder, name));
  await writeScores(scores, scoredTraces(size));
  await writeShards(inputDir, scoredTraces(size));
  const startedAt = performance.now();
  const { shownTraces } = await report({ scores, inputDir, outputFile, maxTraces: traces });
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(
    `page: ${shownTraces} traces, ${(statSync(outputFile).size / 1e6).toFixed(1)} MB, made in ${seconds.toFixed(1)} s`,
  );
  return outputFile;
}

async function measureOpening(page) {
  const browser = await openBrowser();
  try {
    const trace = await browser.trace(async () => {
      await browser.open(page);
      await browser.waitFor(`performance.getEntriesByName('trace shown').length > 0`);
    });
    const [start] = trace.filter(
      ({ name, args }) => name === 'navigationStart' && args.data?.documentLoaderURL?.endsWith('page.html'),
    );
    const shown = trace.find(({ name, pid }) => name === 'trace shown' && pid === start.pid);
    const painted = trace.find(({ name, pid }) => name === 'firstContentfulPaint' && pid === start.pid);
    const tasks = trace.filter(
      ({ name, tid, pid, ts }) =>
        name.endsWith('RunTask') && tid === start.tid && pid === start.pid && ts >= start.ts && ts <= shown.ts,
    );
    const total = (key) => tasks.reduce((sum, task) => sum + (task[key] ?? 0), 0) / 1000;
    return {
      shown: (shown.ts - start.ts) / 1000,
      painted: (painted.ts - start.ts) / 1000,
      busy: total('dur'),
      cpu: total('tdur'),
    };
  } finally {
    await browser.close();
  }
}

async function measureUse(page) {
  const browser = await openBrowser();
  try {
    await browser.open(page);
    await browser.waitFor(`performance.getEntriesByName('trace shown').length > 0`);
    await browser.evaluate(`document.getElementById('trace-list').scrollIntoView()`);
    const frames = await browser.evaluate(`new Promise((resolve) => {
      const list = document.getElementById('trace-list');
      const gaps = [];
      let last = performance.now();
      requestAnimationFrame(function step(now) {
        gaps.push(now - last);
        last = now;
        list.scrollTop += ${SCROLL_PIXELS};
        if (gaps.length < ${FRAMES}) requestAnimationFrame(step);
        else resolve(gaps.slice(1).sort((a, b) => a - b));
      });
    })`);
    console.log(`scrolling: ${FRAMES} frames, half within ${at(frames, 0.5)} ms, 95 % within ${at(frames, 0.95)} ms`);

    await browser.evaluate(`document.getElementById('trace-list').focus()`);
    await browser.press('Home');
    const presses = [];
    for (let i = 0; i < PRESSES; i++) {
      const before = await browser.evaluate(`performance.getEntriesByName('trace shown').length`);
      const startedAt = performance.now();
      await browser.press('ArrowDown');
      await browser.waitFor(`performance.getEntriesByName('trace shown').length >= ${before + 2}`);
      presses.push(performance.now() - startedAt);
    }
    presses.sort((a, b) => a - b);
    console.log(
      `arrow key to both traces shown: half within ${at(presses, 0.5)} ms, 95 % within ${at(presses, 0.95)} ms`,
    );

    const startedAt = performance.now();
    await browser.evaluate(`document.getElementById('trace-search').focus()`);
    await browser.type('every case then the sum');
    await browser.waitFor(`document.getElementById('trace-list').getAttribute('aria-busy') === 'false'`);
    const found = await browser.evaluate(`document.getElementById('trace-count').textContent`);
    console.log(`search through all texts: ${(performance.now() - startedAt).toFixed(0)} ms, ${found}`);
  } finally {
    await browser.close();
  }
}

function at(sorted, share) {
  return sorted[Math.floor(share * (sorted.length - 1))].toFixed(0);
}
