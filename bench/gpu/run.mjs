// Runs the stages of the GPU kit, the most telling first, until they are done or the time is up.
//
//     KIT/bin/node KIT/bench/run.mjs --out DIR [--device cuda|cpu] [--scale full|tiny] [--budget SECONDS]
//                                    [--stages doctor,operators,…] [--again] [--work DIR]
//
// A stage is a process of its own with its own time limit; it prints its results as JSON lines, which are kept as they
// come. A stage that finished is not run again by a later call (--again does); one that ran out of time is. DIR gets
// results.json (everything so far), summary.md (tables) and log.txt. Exit code 1 where a stage failed.
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { summarise } from './summarise.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));

/** In this order: a later stage tells less, or needs longer. Seconds are the longest that it may take on an H100. */
const STAGES = {
  doctor: { seconds: 60 },
  operators: { seconds: 120 },
  'parity:qwen3-4b': { seconds: 180 },
  'speed:qwen3-8b': { seconds: 240 },
  training: { seconds: 180 },
  'traces:qwen3-4b': { seconds: 240 },
  'profile:qwen3-8b': { seconds: 150, env: { CUDA_LAUNCH_BLOCKING: '1' } },
  demo: { seconds: 90 },
  'speed:llama-8b': { seconds: 240 },
  'parity:llama-8b': { seconds: 240 },
  'speed:qwen3-4b': { seconds: 180 },
  'speed:phi-4': { seconds: 300 },
  'parity:phi-4': { seconds: 300 },
};
/** Prints the folders of Python's packages with CUDA's libraries. */
const FIND_LIBRARIES = `
import glob, os, sys
wanted = ("libcublasLt.so.13", "libcublas.so.13", "libcudart.so.13", "libcurand.so.10")
folders = []
for root in sys.path:
    for path in glob.glob(os.path.join(root, "nvidia", "**", "*.so*"), recursive=True):
        if os.path.basename(path).startswith(wanted) and os.path.dirname(path) not in folders:
            folders.append(os.path.dirname(path))
print(":".join(folders))
`;

/** Less time than this is not worth beginning a stage with. */
const LEAST_SECONDS = 20;

const { values: options } = parseArgs({
  options: {
    out: { type: 'string' },
    device: { type: 'string', default: 'cuda' },
    scale: { type: 'string', default: 'full' },
    budget: { type: 'string', default: '560' },
    stages: { type: 'string' },
    again: { type: 'boolean', default: false },
    work: { type: 'string', default: join(HERE, '../work') },
  },
});
if (!options.out) throw new Error('name a folder for the results: --out DIR');
const wanted = options.stages?.split(',') ?? Object.keys(STAGES);
const unknown = wanted.filter((stage) => !STAGES[stage]);
if (unknown.length > 0) throw new Error(`no such stage: ${unknown}; there are ${Object.keys(STAGES)}`);

const out = resolve(options.out);
const work = resolve(options.work);
const kept = join(work, 'results');
const log = join(kept, 'log.txt');
mkdirSync(out, { recursive: true });
mkdirSync(kept, { recursive: true });

const deadline = performance.now() + Number(options.budget) * 1000;
const environment = {
  ...process.env,
  SCORER_DEVICE: options.device,
  SCORER_SCALE: options.scale,
  SCORER_WORK: work,
  LD_LIBRARY_PATH: libraryPath(),
  // A rehearsal may share its machine; threads that wait for each other then take minutes for milliseconds of work.
  ...(options.scale === 'tiny' && { OMP_NUM_THREADS: '1' }),
};
let failed = false;
for (const stage of wanted) {
  const file = join(kept, `${stage.replace(':', '-')}.json`);
  if (!options.again && existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).outcome === 'done') continue;
  const left = (deadline - performance.now()) / 1000;
  if (left < LEAST_SECONDS) {
    note(`no time left for ${stage}`);
    continue;
  }
  const result = await run(stage, Math.min(STAGES[stage].seconds, left));
  writeFileSync(file, JSON.stringify(result));
  failed ||= result.outcome.startsWith('failed');
  note(`${stage}: ${result.outcome} after ${result.seconds} s, ${result.results.length} results`);
  report();
}
report();
process.exitCode = failed ? 1 : 0;

function run(stage, limit) {
  const [script, ...args] = stage.split(':');
  const start = performance.now();
  const child = spawn(process.execPath, [join(HERE, 'stages', `${script}.mjs`), ...args], {
    env: { ...environment, ...STAGES[stage].env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A process group, so that what it started ends with it.
    detached: true,
  });
  const results = [];
  let lastWords = '';
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {} // it ended this moment
  }, limit * 1000);
  createInterface({ input: child.stdout }).on('line', (line) => {
    appendFileSync(log, `${stage} ${line}\n`);
    if (line.startsWith('{')) results.push(JSON.parse(line));
  });
  child.stderr.on('data', (text) => {
    appendFileSync(log, text);
    lastWords = `${lastWords}${text}`.slice(-1500);
  });
  return new Promise((done) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const outcome = isLate ? 'out of time' : code === 0 ? 'done' : `failed (${signal ?? `exit code ${code}`})`;
      const seconds = +((performance.now() - start) / 1000).toFixed(1);
      done({ stage, outcome, seconds, results, ...(code !== 0 && { stderr: lastWords }) });
    });
  });
}

/** What there is so far, in the order of the stages; the folder may be emptied between two calls. */
function report() {
  const all = Object.keys(STAGES).flatMap((stage) => {
    const file = join(kept, `${stage.replace(':', '-')}.json`);
    return existsSync(file) ? [JSON.parse(readFileSync(file, 'utf8'))] : [];
  });
  const results = { device: options.device, scale: options.scale, stages: all };
  writeFileSync(join(out, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
  writeFileSync(join(out, 'summary.md'), summarise(results));
  if (existsSync(log)) copyFileSync(log, join(out, 'log.txt'));
}

function note(line) {
  console.log(line);
  appendFileSync(log, `${line}\n`);
}

/** Where CUDA's libraries may lie: Python's nvidia packages, which PyTorch brings along, and a toolkit. */
function libraryPath() {
  const { stdout } = spawnSync(process.env.SCORER_PYTHON ?? 'python3', ['-c', FIND_LIBRARIES], { encoding: 'utf8' });
  const { LD_LIBRARY_PATH: given } = process.env;
  const folders = [given, stdout?.trim(), '/usr/local/cuda/lib64'];
  return folders.filter(Boolean).join(':');
}
