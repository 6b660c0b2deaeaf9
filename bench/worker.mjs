/**
 * Workers of apps/worker on this machine, each bound to one core (by taskset) and one thread: one against two, how long the event loop stands
 * still beside the inference, what a shard costs beside its traces, and what a run takes in Redis. Needs redis-server.
 *
 *     node bench/worker.mjs [--traces 2000] [--model DIR --steps FILE]
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const WORKER = join(ROOT, 'apps/worker/bin/scorer-worker.js');
const { values } = parseArgs({
  options: {
    traces: { type: 'string', default: '2000' },
    model: { type: 'string', default: join(ROOT, 'apps/demo/data/model') },
    steps: { type: 'string' },
  },
});

const shared = mkdtempSync(join(tmpdir(), 'bench-worker-'));
cpSync(values.model, join(shared, 'model'), { recursive: true });
const lines = readFileSync(values.steps ?? stepsOfDemo(), 'utf8')
  .trimEnd()
  .split('\n')
  .slice(0, Number(values.traces));
writeFileSync(join(shared, 'steps.jsonl'), `${lines.join('\n')}\n`);

const port = await freePort();
const flags = ['--port', String(port), '--bind', '127.0.0.1', '--dir', shared, '--appendonly', 'yes', '--save', ''];
const redis = spawn('redis-server', flags, { stdio: 'ignore' });
process.env.REDIS_URL = `redis://127.0.0.1:${port}`;
await sleep(500);

try {
  console.log(`${lines.length} traces, ${cpus()[0].model}, ${cpus().length} cores`);
  const one = await timeWorkers('one', 1);
  const two = await timeWorkers('two', 2);
  console.log(`1 worker  ${one.seconds.toFixed(1)} s, ${Math.round(one.tokens / one.seconds)} tokens/s`);
  console.log(`2 workers ${two.seconds.toFixed(1)} s, ${Math.round(two.tokens / two.seconds)} tokens/s`);
  console.log(`ratio ${(two.seconds / one.seconds).toFixed(2)} (0.5 is ideal; 0.6 is the aim)`);
  console.log(`longest gap of the event loop: ${Math.max(one.gap, two.gap)} ms`);

  const single = await timeWorkers('single', 1, ['--shard-size', String(lines.length)]);
  const perShard = (one.seconds - single.seconds) / (one.shards - single.shards);
  console.log(`${one.shards} shards instead of 1: ${(1000 * perShard).toFixed(0)} ms more a shard`);

  // Shards of one trace, to see what the queue holds.
  ask('cancel', ['--run', one.run]);
  ask('cancel', ['--run', two.run]);
  ask('cancel', ['--run', single.run]);
  const before = memory();
  const startedAt = performance.now();
  const { shards } = submit('jobs', ['--shard-size', '1']);
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(`a waiting job takes ${Math.round((memory() - before) / shards)} bytes in Redis`);
  console.log(`${shards} jobs were planned and put into the queue in ${seconds.toFixed(1)} s`);
} finally {
  redis.kill();
  await once(redis, 'close');
  rmSync(shared, { recursive: true });
}

async function timeWorkers(output, count, args = ['--shard-size', '50']) {
  const { run, tokens, shards } = submit(output, args);
  const startedAt = performance.now();
  const workers = Array.from({ length: count }, (_, core) => startWorker(run, core));
  const results = await Promise.all(workers);
  const seconds = (performance.now() - startedAt) / 1000;
  return { run, tokens, shards, seconds, gap: Math.max(...results.map(({ served: [own] }) => own.longest_gap_ms)) };
}

function submit(output, args) {
  const files = ['--model-name', 'model', '--input-path', 'steps.jsonl', '--output-path', `${output}/raw`];
  return ask('submit', [...files, ...args]);
}

function ask(command, args) {
  const all = [WORKER, command, ...args, '--json', '--quiet'];
  const { status, stdout, stderr } = spawnSync(process.execPath, all, { cwd: shared, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

async function startWorker(run, core) {
  const args = [WORKER, 'work', '--run', run, '--threads', '1', '--json', '--quiet'];
  const child = spawn('taskset', ['--cpu-list', String(core), process.execPath, ...args], {
    cwd: shared,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.on('data', (bytes) => {
    stdout += bytes;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`a worker ended with exit code ${code}`);
  return JSON.parse(stdout);
}

function memory() {
  const { stdout } = spawnSync('redis-cli', ['-p', String(port), 'info', 'memory'], { encoding: 'utf8' });
  return Number(/used_memory:(\d+)/.exec(stdout)[1]);
}

function stepsOfDemo() {
  const cli = join(ROOT, 'packages/preprocess/bin/scorer-preprocess.js');
  const files = ['--input-file', join(ROOT, 'apps/demo/data/traces.jsonl'), '--output-file', join(shared, 'pre')];
  const args = [cli, ...files, '--tokenizer-path', join(shared, 'model'), '--quiet'];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return join(shared, 'pre/traces.jsonl');
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
