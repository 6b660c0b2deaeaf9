// Memory of preprocessing over a long input, and what kills cost it:
//
//     pnpm build && node bench/preprocess-memory.mjs [megabytes] [plot.svg]
//
// An input of that size (200 MB unless told) is made of the demo's traces. It is run through once unbroken, while the
// memory of the process is sampled, and once with three kills on the way. Prints one JSON object: peak memory, its
// medians over the quarters of the run, and whether both runs ended with the same bytes.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createReadStream,
  createWriteStream,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';

const fromRoot = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const BIN = fromRoot('packages/preprocess/bin/scorer-preprocess.js');
const MODEL = fromRoot('apps/demo/data/model');
const TRACES = fromRoot('apps/demo/data/traces.jsonl');
/** Joined into one response: some 8,000 tokens. */
const TRACES_A_LINE = 60;
const SAMPLE_MS = 100;
/** The process is killed when its output has grown to these shares of the whole. */
const KILLS_AT = [0.2, 0.5, 0.8];

const [megabytes = '200', plotPath] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'preprocess-memory-'));
try {
  const input = join(folder, 'traces.jsonl');
  await writeInput(input, Number(megabytes) * 1e6);

  const unbroken = join(folder, 'unbroken');
  const samples = [];
  const seconds = await run(input, unbroken, { onSample: (rss) => samples.push(rss) });
  const outputBytes = statSync(join(unbroken, 'traces.jsonl')).size;

  const killed = join(folder, 'killed');
  const kills = [];
  for (const share of KILLS_AT) {
    await run(input, killed, { killWhen: async () => (await bytesIn(killed)) > share * outputBytes });
    kills.push(Math.round((await bytesIn(killed)) / 1e6));
  }
  const rest = await run(input, killed);

  const quarters = [0, 1, 2, 3].map((q) =>
    median(samples.slice((q * samples.length) / 4, ((q + 1) * samples.length) / 4)),
  );
  if (plotPath) writeFileSync(plotPath, plot(samples, seconds));
  const result = {
    input_mb: Math.round(statSync(input).size / 1e6),
    output_mb: Math.round(outputBytes / 1e6),
    seconds: Math.round(seconds),
    peak_mb: Math.round(Math.max(...samples)),
    quarter_medians_mb: quarters.map(Math.round),
    killed_at_mb: kills,
    seconds_after_last_kill: Math.round(rest),
    equal_bytes: (await sha256(join(unbroken, 'traces.jsonl'))) === (await sha256(join(killed, 'traces.jsonl'))),
  };
  console.log(JSON.stringify(result));
} finally {
  rmSync(folder, { recursive: true });
}

/** Long traces, no two alike. */
async function writeInput(path, bytes) {
  const traces = readFileSync(TRACES, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  await pipeline(function* () {
    let written = 0;
    for (let n = 0; written < bytes; n++) {
      const parts = Array.from({ length: TRACES_A_LINE }, (_, i) => traces[(n * 7 + i) % traces.length].response);
      const body = parts.map((part) => part.replace(/<\/?think>/g, '')).join('\n\n');
      const response = `<think>\n${n}. ${body}\n</think>\n`;
      const line = `${JSON.stringify({ ...traces[n % traces.length], response })}\n`;
      written += Buffer.byteLength(line);
      yield line;
    }
  }, createWriteStream(path));
}

/** Runs the command to its end, or until `killWhen` holds. Returns its seconds. */
async function run(input, output, { onSample, killWhen } = {}) {
  const start = performance.now();
  const flags = [
    '--input-file',
    input,
    '--output-file',
    output,
    '--tokenizer-path',
    MODEL,
    '--workers',
    '2',
    '--quiet',
  ];
  const child = spawn(process.execPath, [BIN, ...flags], { stdio: ['ignore', 'ignore', 'inherit'] });
  const watch = setInterval(async () => {
    const rss = residentMegabytes(child.pid);
    if (rss !== undefined) onSample?.(rss);
    if (await killWhen?.()) child.kill('SIGKILL');
  }, SAMPLE_MS);
  const [code, signal] = await new Promise((resolve) => child.on('exit', (...exit) => resolve(exit)));
  clearInterval(watch);
  if (killWhen ? signal !== 'SIGKILL' : code !== 0) throw new Error(`ended with ${signal ?? code}`);
  return (performance.now() - start) / 1000;
}

function residentMegabytes(pid) {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1000 || undefined;
  } catch {
    return undefined;
  }
}

/** What a folder holds, hidden files of unfinished outputs included. */
async function bytesIn(path) {
  const names = await readdir(path).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(path, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function sha256(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

/** Memory over time as a small picture. */
function plot(samples, seconds) {
  const [width, height, left, bottom] = [640, 240, 56, 32];
  const top = 100 * Math.ceil(Math.max(...samples) / 100);
  const x = (i) => left + (i / (samples.length - 1)) * (width - left - 12);
  const y = (mb) => 12 + (1 - mb / top) * (height - bottom - 12);
  const points = samples.map((mb, i) => `${x(i).toFixed(1)},${y(mb).toFixed(1)}`).join(' ');
  const lines = [0, top / 2, top].map(
    (mb) =>
      `<path d="M${left} ${y(mb)}H${width - 12}" stroke="#ccc"/><text x="${left - 8}" y="${y(mb) + 4}" text-anchor="end">${mb}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#555">
<title>Resident memory of preprocessing over time</title>
<rect width="100%" height="100%" fill="#fff"/>
${lines.join('\n')}
<polyline points="${points}" fill="none" stroke="#2a78d6" stroke-width="1.5"/>
<text x="${left}" y="${height - 10}">0 s</text><text x="${width - 12}" y="${height - 10}" text-anchor="end">${Math.round(seconds)} s</text>
<text x="${width / 2}" y="${height - 10}" text-anchor="middle">resident memory in MB, ${megabytes} MB of traces, 2 workers</text>
</svg>
`;
}
