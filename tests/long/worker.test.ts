/**
 * The same extraction on many processes, by the queue and without one, under what happens to them: killed, frozen, cut
 * off, on a full disk, with a wrong model, at a trace that kills. A real Redis server is started on a free port of this
 * machine; without one (Debian: `apt-get install redis-server`) those tests are skipped.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WORKER = join(ROOT, 'apps/worker/bin/scorer-worker.js');
const EXTRACT = join(ROOT, 'packages/hidden-states/bin/scorer-hidden-states.js');
const PREPROCESS = join(ROOT, 'packages/preprocess/bin/scorer-preprocess.js');
const DEMO = join(ROOT, 'apps/demo/data');

const SHARDS = 40;
const TRACES_A_SHARD = 30;

/** The shared file system of the machines: model, step records, and the shards that one process makes of them. */
let shared: string;
let single: Map<string, Buffer>;

beforeAll(() => {
  shared = mkdtempSync(join(tmpdir(), 'worker-'));
  cpSync(join(DEMO, 'model'), join(shared, 'model'), { recursive: true });
  const raw = readFileSync(join(DEMO, 'traces.jsonl'), 'utf8').split('\n').slice(0, 1400);
  writeFileSync(join(shared, 'raw.jsonl'), raw.join('\n'));
  must(PREPROCESS, ['--input-file', 'raw.jsonl', '--output-file', 'pre', '--tokenizer-path', 'model']);
  writeSteps('steps.jsonl', stepLines().slice(0, SHARDS * TRACES_A_SHARD));
  must(EXTRACT, extraction('single'));
  single = shardsIn('single');
  expect(single.size).toBe(SHARDS);
});

afterAll(() => rmSync(shared, { recursive: true, force: true }));

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

describe.skipIf(!hasRedis)('with a queue (skipped where redis-server is not installed)', () => {
  let redis: RedisServer;
  let running: Set<ChildProcess>;

  beforeEach(async () => {
    running = new Set();
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const child of running) child.kill('SIGKILL');
    await redis.kill();
    rmSync(redis.folder, { recursive: true, force: true });
  });

  test('workers killed, one frozen past its lease, Redis killed: every shard once, with the bytes of a single process', async () => {
    ask('submit', submission('chaos'));
    const random = seededRandom(11);
    const names = ['a', 'b', 'c', 'd'];
    const workers = names.map((name) => supervise(name, ['--lease', String(LEASE_SECONDS)]));
    const left = Promise.all(workers.map(({ ended }) => ended));

    const frozen = startWorker('frozen', ['--lease', String(LEASE_SECONDS)]);
    const frozenLines = (): string | undefined => status().workers.find(({ name }) => name === 'frozen')?.lines;
    await until(() => frozenLines() !== undefined);
    frozen.child.kill('SIGSTOP');
    const taken = join(shared, `chaos/raw_hiddenstates_${frozenLines()!.replace('-', '_')}.safetensors`);

    let kills = 0;
    const killSome = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        await sleep(200 + 600 * random());
        kills += Number(workers[Math.floor(random() * workers.length)]!.child!.kill('SIGKILL'));
      }
    };
    await killSome(4);
    await redis.kill();
    await killSome(2);
    await redis.start();
    await killSome(4);
    // It wakes when another has made its shard, goes on with what it was at, and leaves that shard alone.
    await until(() => existsSync(taken));
    const { ino, mtimeMs } = statSync(taken);
    frozen.child.kill('SIGCONT');
    await left;
    const { code, stdout } = await frozen.ended;
    expect(code).toBe(0);
    const [{ kept, leases_lost }] = JSON.parse(stdout).served;
    expect(kept + leases_lost).toBeGreaterThan(0);
    expect(statSync(taken)).toMatchObject({ ino, mtimeMs });

    const report = status();
    expect(report).toMatchObject({ state: 'done', shards: { done: SHARDS, failed: 0 }, stalled: 0 });
    expect(shardsIn('chaos')).toEqual(single);
    expect(must(WORKER, ['verify', '--output-path', 'chaos/raw', '--json'])).toContain('"problems":[]');
    expect(readdirSync(join(shared, 'chaos')).filter((name) => name.startsWith('.'))).toEqual([]);
    const starts = workers.reduce((sum, worker) => sum + worker.starts, 1);
    console.log(`${kills} workers killed, ${starts} started, ${report.repeats} attempts repeated at ${SHARDS} shards`);
  });

  test('what fails is told at the end, and everything else is done: a poison trace, a full disk, a wrong model', async () => {
    const lines = stepLines().slice(0, 80);
    // Lines of no use: one alone costs itself, a shard full of them fails.
    lines[3] = '{"prompt": "no step record"}';
    for (let i = 20; i < 30; i++) lines[i] = 'not JSON';
    lines[45] = lines[45]!.replace(/"question": ?"/, `"question": "${POISON} `);
    writeSteps('poisoned.jsonl', lines);
    const flags = ['--input-path', 'poisoned.jsonl', '--shard-size', '10', '--backoff', '5'];
    ask('submit', [...submission('poisoned'), ...flags]);

    cpSync(join(shared, 'model'), join(shared, 'other'), { recursive: true });
    appendFileSync(join(shared, 'other/tokenizer_config.json'), '\n');
    const wrong = startWorker('wrong', ['--model-name', 'other']);
    expect(await wrong.ended).toMatchObject({ code: 3, stderr: expect.stringContaining('error[WORKER_DIFFERS]') });

    // It runs full at the first shard; started again it is found full before it takes any.
    for (const [room, error] of [
      ['30', 'WORKER_UNWELL'],
      ['0', 'DISK_FULL'],
    ]) {
      const full = startWorker('full', [], { ...importing(FULL_DISK), ROOM: room });
      expect(await full.ended).toMatchObject({ code: 4, stderr: expect.stringContaining(`error[${error}]`) });
    }
    expect(status()).toMatchObject({ shards: { delayed: 3, waiting: 5, failed: 0 } });

    const sound = ['a', 'b'].map((name) => supervise(name, ['--lease', '1'], importing(KILLED_BY_POISON)));
    await Promise.all(sound.map(({ ended }) => ended));

    const report = status();
    expect(report).toMatchObject({ state: 'failed', shards: { total: 8, done: 6, failed: 2 }, failed_traces: 1 });
    expect(report.failed_shards).toEqual([
      expect.objectContaining({ lines: '20-30', reason: expect.stringContaining('[TOO_MANY_FAILURES]') }),
      expect.objectContaining({ lines: '40-50', reason: expect.stringContaining('[WORKERS_DIED]') }),
    ]);
    expect(report.workers).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'wrong', state: 'refused', reason: expect.stringMatching(/its model: /) }),
        expect.objectContaining({ name: 'full', state: 'unwell', reason: expect.stringContaining('[DISK_FULL]') }),
      ]),
    );
    console.log(must(WORKER, ['status'], redis.environment));

    const verified = run(WORKER, ['verify', '--output-path', 'poisoned/raw']);
    expect(verified).toMatchObject({ status: 3, stderr: expect.stringContaining('6 of 8 shards are whole') });

    // Mended by hand, the rest is made.
    expect(ask('retry')).toMatchObject({ shards: 2 });
    await startWorker('a').ended;
    expect(status()).toMatchObject({ shards: { done: 7, failed: 1 } });
  });

  test('a stopped worker hands its shard back at once, and the next goes on with the traces that it had finished', async () => {
    const oneShard = ['--end-idx', '240', '--shard-size', '240'];
    ask('submit', [...submission('stopped'), ...oneShard]);
    const first = startWorker('first', ['--drain', '0']);
    await until(() => status().tokens.done > 0);
    first.child.kill('SIGTERM');
    expect(await first.ended).toMatchObject({ code: 143 });
    expect(status()).toMatchObject({ shards: { waiting: 1, active: 0, failed: 0 } });

    const before = status().workers[0]!.tokens;
    const second = JSON.parse((await startWorker('second').ended).stdout);
    expect(second.served).toMatchObject([{ ended: 'finished', written: 1 }]);
    expect(before).toBeGreaterThan(0);
    must(EXTRACT, [...extraction('whole'), ...oneShard]);
    expect(shardsIn('stopped')).toEqual(shardsIn('whole'));
  });

  test('a worker can be stopped while Redis is away, and leaves its finished traces to others', async () => {
    const oneShard = ['--end-idx', '240', '--shard-size', '240'];
    ask('submit', [...submission('away'), ...oneShard]);
    const worker = startWorker('a', ['--drain', '0', '--lease', String(LEASE_SECONDS)]);
    await until(() => status().tokens.done > 0);
    await redis.kill();
    worker.child.kill('SIGTERM');
    expect(await worker.ended).toMatchObject({ code: 143, stderr: expect.not.stringContaining('    at ') });
    await redis.start();
    const second = startWorker('b', ['--lease', String(LEASE_SECONDS)]);
    expect(JSON.parse((await second.ended).stdout).runs).toMatchObject([{ state: 'done', repeats: 1 }]);
  });

  test('a cancelled run stops its workers, and submitted again it goes on with what is missing', async () => {
    const eightShards = ['--end-idx', String(8 * TRACES_A_SHARD)];
    ask('submit', [...submission('cancelled'), ...eightShards]);
    const worker = startWorker('a');
    await until(() => shardsIn('cancelled').size > 1);
    ask('cancel');
    expect(JSON.parse((await worker.ended).stdout).served).toMatchObject([{ ended: 'cancelled' }]);
    const { finished } = ask('submit', [...submission('cancelled'), ...eightShards]);
    expect(finished).toBe(shardsIn('cancelled').size);
    expect(finished).toBeLessThan(8);
    await startWorker('b').ended;
    const made = shardsIn('cancelled');
    expect(made).toEqual(new Map([...single].filter(([name]) => made.has(name))));
    expect(made.size).toBe(8);
  });

  test('a password and TLS are asked for with the way to give them, and given, they work', async () => {
    const secured = await startRedis([...tlsFlags(redis.folder), '--requirepass', 'secret']);
    try {
      const url = secured.environment.REDIS_URL!.replace('redis://', 'rediss://');
      const status = (args: readonly string[], environment: NodeJS.ProcessEnv = {}) =>
        run(WORKER, ['status', '--redis', url, ...args], environment).stderr;
      const ca = ['--redis-ca', join(redis.folder, 'ca.pem')];
      expect(status([])).toMatch(/^error\[REDIS_REFUSED\]: self-signed certificate.*--redis-ca/);
      expect(status(ca)).toMatch(/^error\[REDIS_REFUSED\]: NOAUTH.*--redis-password-file/);
      expect(status(ca, { REDIS_PASSWORD: 'wrong' })).toMatch(/^error\[REDIS_REFUSED\]: WRONGPASS/);
      expect(status(ca, { REDIS_PASSWORD: 'wrong' })).not.toContain('wrong,');
      writeFileSync(join(redis.folder, 'password'), 'secret\n');
      const given = [...ca, '--redis-password-file', join(redis.folder, 'password')];
      expect(status(given)).toMatch(/^error\[RUN_NOT_FOUND\]/);
    } finally {
      await secured.kill();
      rmSync(secured.folder, { recursive: true });
    }
  });

  test('Bull Board shows the queue with the lines of docs/distributed.md (skipped where npm cannot install)', async (context) => {
    const page = readFileSync(join(ROOT, 'docs/distributed.md'), 'utf8');
    const [, packages] = /`npm install ([^`]*@bull-board[^`]*)`/.exec(page)!;
    const [, code] = /```js dashboard\.mjs\n([\s\S]*?)```/.exec(page)!;
    writeFileSync(join(redis.folder, 'package.json'), '{"private": true}');
    writeFileSync(join(redis.folder, 'dashboard.mjs'), code!);
    const npm = ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...packages!.split(' ')];
    if (spawnSync('npm', npm, { cwd: redis.folder }).status !== 0) return context.skip();

    const { run: id } = ask('submit', submission('board'));
    const port = await freePort();
    const env = { ...process.env, ...redis.environment, PORT: String(port) };
    const child = spawn(process.execPath, ['dashboard.mjs'], { cwd: redis.folder, env, stdio: 'ignore' });
    running.add(child);
    await until(() => accepts(port));
    const shown = await (await fetch(`http://127.0.0.1:${port}/api/queues`)).json();
    expect(shown.queues).toMatchObject([{ name: `run-${id}`, counts: { waiting: SHARDS }, readOnlyMode: true }]);
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain('<title>Bull Dashboard</title>');
  });

  function ask(command: string, args: readonly string[] = []) {
    return JSON.parse(must(WORKER, [command, ...args, '--json'], redis.environment));
  }

  function status(): Status {
    return ask('status');
  }

  function startWorker(name: string, args: readonly string[] = [], environment: NodeJS.ProcessEnv = {}): Started {
    const flags = ['work', '--name', name, '--threads', '1', '--quiet', '--json', ...args];
    const child = spawn(process.execPath, [WORKER, ...flags], {
      cwd: shared,
      env: { ...process.env, ...redis.environment, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr'] as const) {
      child[stream].on('data', (bytes) => {
        output[stream] += bytes;
      });
    }
    const ended = once(child, 'close').then(([code]) => {
      running.delete(child);
      return { code: code as number | null, ...output };
    });
    return { child, ended };
  }

  /** Starts a worker again whenever it ends otherwise than by itself with exit code 0, as an orchestrator does. */
  function supervise(name: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Supervised {
    const supervised: Supervised = { child: undefined, starts: 0, ended: Promise.resolve() };
    supervised.ended = (async () => {
      for (;;) {
        const { child, ended } = startWorker(name, args, environment);
        supervised.child = child;
        supervised.starts += 1;
        const { code, stderr } = await ended;
        if (code === 0) return;
        // Killed, or Redis was away when it started.
        if (code !== null) expect([code, stderr]).toEqual([4, expect.stringContaining('REDIS_UNREACHABLE')]);
        await sleep(100);
      }
    })();
    return supervised;
  }

  /** For `node --import`, by way of the environment. */
  function importing(program: string): NodeJS.ProcessEnv {
    const path = join(redis.folder, `${running.size}-${program.length}.mjs`);
    writeFileSync(path, program);
    return { NODE_OPTIONS: `--import ${pathToFileURL(path).href}` };
  }
});

describe('without a queue', () => {
  test('8 processes with --shard i/8, of which two are killed and run again, make the bytes of one', async () => {
    const part = (i: number) => {
      const args = [EXTRACT, ...extraction('static'), '--shard', `${i}/8`];
      const child = spawn(process.execPath, args, { cwd: shared, stdio: 'ignore' });
      return { child, ended: once(child, 'close') };
    };
    const parts = Array.from({ length: 8 }, (_, i) => part(i));
    await until(() => shardsIn('static').size > 4);
    const killed = [2, 5];
    for (const i of killed) expect(parts[i]!.child.kill('SIGKILL')).toBe(true);
    const codes = (await Promise.all(parts.map(({ ended }) => ended))).map(([code]) => code);
    expect(codes).toEqual([0, 0, null, 0, 0, null, 0, 0]);
    expect(shardsIn('static').size).toBeLessThan(SHARDS);

    for (const i of killed) expect(await part(i).ended).toEqual([0, null]);
    expect(shardsIn('static')).toEqual(single);
  });
});

const LEASE_SECONDS = 2;

interface Started {
  child: ChildProcess;
  ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

interface Supervised {
  child: ChildProcess | undefined;
  starts: number;
  ended: Promise<void>;
}

interface Status {
  state: string;
  shards: Record<string, number>;
  tokens: { done: number };
  repeats: number;
  failed_shards: { lines: string; reason: string }[];
  workers: { name: string; lines?: string; tokens: number }[];
}

/** In the text of a trace. */
const POISON = 'the poison trace';

/** A runtime that crashes at one trace: the process is gone before anyone can say why. */
const KILLED_BY_POISON = `
  const parse = JSON.parse;
  JSON.parse = (text, ...rest) => {
    if (String(text).includes(${JSON.stringify(POISON)})) process.kill(process.pid, 'SIGKILL');
    return parse(text, ...rest);
  };
`;

/** A disk with room for so many writes. */
const FULL_DISK = `
  import fs from 'node:fs/promises';
  const handle = await fs.open(process.execPath);
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  const write = prototype.write;
  let room = Number(process.env.ROOM);
  prototype.write = async function (...args) {
    if (room-- > 0) return write.apply(this, args);
    throw Object.assign(new Error('ENOSPC: injected'), { code: 'ENOSPC', syscall: 'write' });
  };
`;

interface RedisServer {
  folder: string;
  environment: NodeJS.ProcessEnv;
  start(): Promise<void>;
  /** At once, as by a power failure. */
  kill(): Promise<void>;
}

/** A server that keeps an append-only file, synced every second, as it does by default. */
async function startRedis(security: readonly string[] = []): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'redis-'));
  const port = await freePort();
  const listen = security.includes('--tls-cert-file') ? ['--port', '0', '--tls-port'] : ['--port'];
  const flags = [
    ...listen,
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--save',
    '',
    '--appendonly',
    'yes',
    ...security,
  ];
  let child: ChildProcess;
  const server: RedisServer = {
    folder,
    environment: { REDIS_URL: `redis://127.0.0.1:${port}` },
    async start() {
      child = spawn('redis-server', flags, { stdio: 'ignore' });
      await until(() => accepts(port));
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'close');
      child.kill('SIGKILL');
      await ended;
    },
  };
  await server.start();
  return server;
}

/** A certificate of its own for a server that speaks nothing but TLS; ca.pem is what a client has to trust. */
function tlsFlags(folder: string): string[] {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'ca.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', key, '-out', certificate];
  const made = spawnSync('openssl', [
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    ...subject,
    ...files,
  ]);
  expect(made.status, 'openssl').toBe(0);
  return [
    '--tls-cert-file',
    certificate,
    '--tls-key-file',
    key,
    '--tls-auth-clients',
    'no',
    '--tls-ca-cert-file',
    certificate,
  ];
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => answer(true)).on('error', () => answer(false));
    socket.on('connect', () => socket.destroy());
  });
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(50);
}

function extraction(output: string): string[] {
  const files = ['--model-name', 'model', '--input-path', 'steps.jsonl', '--output-path', `${output}/raw`];
  return [...files, '--shard-size', String(TRACES_A_SHARD), '--device', 'cpu', '--threads', '1'];
}

function submission(output: string): string[] {
  return extraction(output).slice(0, -2);
}

function stepLines(): string[] {
  return readFileSync(join(shared, 'pre/raw.jsonl'), 'utf8').trimEnd().split('\n');
}

function writeSteps(name: string, lines: readonly string[]): void {
  writeFileSync(join(shared, name), lines.map((line) => `${line}\n`).join(''));
}

/** The shards in a folder, by name. */
function shardsIn(folder: string): Map<string, Buffer> {
  const path = join(shared, folder);
  mkdirSync(path, { recursive: true });
  const names = readdirSync(path).filter((name) => name.endsWith('.safetensors') && !name.startsWith('.'));
  return new Map(names.sort().map((name) => [name, readFileSync(join(path, name))]));
}

function run(program: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  const env = { ...process.env, ...environment };
  return spawnSync(process.execPath, [program, ...args, '--quiet'], { cwd: shared, encoding: 'utf8', env });
}

/** What a command prints on stdout; it must end well. */
function must(program: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): string {
  const { status, stdout, stderr } = run(program, args, environment);
  expect([status, stderr]).toEqual([0, expect.anything()]);
  return stdout;
}

/** Mulberry32. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
