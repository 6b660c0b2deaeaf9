// Early stopping over many scored traces: seconds and peak memory of simulate.
//
//     pnpm build && node bench/simulate.mjs [traces] [traces a question] [steps a trace]
//
// The traces (100,000 unless told, 64 a question, 50 steps each) come from a seeded generator and are written to the
// system's folder for temporary files.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { scoredTraces, writeScores } from '../tools/scored-traces.mjs';

const SELF = fileURLToPath(import.meta.url);

if (process.argv[2] === '--measure') await measure(process.argv[3]);
else await main(...[100_000, 64, 50].map((usual, i) => Number(process.argv[2 + i] ?? usual)));

async function main(traces, perQuestion, steps) {
  const folder = mkdtempSync(join(tmpdir(), 'simulate-'));
  try {
    const path = join(folder, 'scores.jsonl');
    await writeScores(path, scoredTraces({ traces, perQuestion, steps }));
    console.log(`${traces} traces × ${steps} steps, ${(statSync(path).size / 1e6).toFixed(0)} MB`);
    const result = JSON.parse(execFileSync(process.execPath, [SELF, '--measure', path], { encoding: 'utf8' }));
    console.log(
      `simulate: ${result.seconds.toFixed(1)} s, peak ${result.megabytes.toFixed(0)} MB, ${result.settings} settings`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** In a process of its own, so that the peak is that of simulate alone. */
async function measure(path) {
  const { simulate } = await import('../packages/train/dist/simulate/simulate.js');
  const startedAt = performance.now();
  const { settings } = await simulate({ scores: path });
  const seconds = (performance.now() - startedAt) / 1000;
  const megabytes = process.resourceUsage().maxRSS / 1024;
  console.log(JSON.stringify({ seconds, megabytes, settings: settings.length }));
}
