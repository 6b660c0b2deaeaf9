// Preprocessing against the Python original's steps on the same machine, one after the other.
//
//     node bench/preprocess.mjs raw.jsonl model_dir [--python python3] [--workers 2]
//
// Prints traces/s, tokens/s and peak memory of both, and ours/theirs. Start-up and loading the tokenizer count on both sides.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { python: { type: 'string', default: 'python3' }, workers: { type: 'string', default: '2' } },
});
const [input, model] = positionals;
if (input === undefined || model === undefined) throw new Error('name the traces and the model folder');

const BIN = fileURLToPath(new URL('../packages/preprocess/bin/scorer-preprocess.js', import.meta.url));
const ORIGINAL = fileURLToPath(new URL('preprocess_original.py', import.meta.url));

const folder = await mkdtemp(join(tmpdir(), 'scorer-bench-'));
try {
  const theirs = await original();
  const rows = { original: theirs };
  for (const workers of new Set(['1', values.workers])) rows[`ours, ${workers} worker(s)`] = await ours(workers);
  console.table(Object.fromEntries(Object.entries(rows).map(([name, run]) => [name, describe(run, theirs)])));
} finally {
  await rm(folder, { recursive: true });
}

async function original() {
  const { stdout, seconds } = await run(values.python, [ORIGINAL, input, join(folder, 'original.jsonl'), model]);
  return { ...JSON.parse(stdout), seconds };
}

async function ours(workers) {
  const flags = ['--input-file', input, '--output-file', join(folder, `ours-${workers}`), '--tokenizer-path', model];
  const { stdout, seconds, peakMb } = await run(process.execPath, [
    BIN,
    ...flags,
    '--workers',
    workers,
    '--json',
    '--quiet',
  ]);
  const { traces_in: traces, tokens } = JSON.parse(stdout);
  return { traces, tokens, seconds, peak_mb: peakMb };
}

/** Runs a command and watches its memory: the high-water mark of /proc on Linux, nothing elsewhere. */
async function run(command, args) {
  const startedAt = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let peakMb = Number.NaN;
  const watch = setInterval(async () => {
    const status = await readFile(`/proc/${child.pid}/status`, 'utf8').catch(() => '');
    const kilobytes = /VmHWM:\s+(\d+)/.exec(status)?.[1];
    if (kilobytes) peakMb = Math.round(Number(kilobytes) / 1024);
  }, 100);
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(watch);
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
  return { stdout, seconds: (performance.now() - startedAt) / 1000, peakMb };
}

function describe({ traces, tokens, seconds, peak_mb }, theirs) {
  return {
    seconds: Number(seconds.toFixed(1)),
    'traces/s': Math.round(traces / seconds),
    'tokens/s': Math.round(tokens / seconds),
    'peak MB': peak_mb,
    'times theirs': Number((tokens / seconds / (theirs.tokens / theirs.seconds)).toFixed(2)),
  };
}
