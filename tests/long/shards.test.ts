/**
 * Shards under what the short tests can't afford: processes killed at random moments, every operation of the command
 * line failing once, two writers racing, files beyond 4 GiB, and another Node.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openSafetensors } from '@scorer/core/safetensors';
import { removePartial } from '@scorer/core/shards';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CORE = join(ROOT, 'packages/core');
const CLI = join(CORE, 'bin/scorer-shards.js');
const EXAMPLE_SHARD = join(CORE, 'src/shards/fixtures/example.safetensors');

const library = (subpath: string): string =>
  JSON.stringify(pathToFileURL(join(CORE, 'dist', subpath, 'index.js')).href);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shards-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const visible = (): string[] => readdirSync(folder).filter((name) => !name.startsWith('.'));

/**
 * Writes a shard of 60 traces, several at a time, going on where an earlier run ended. Prints what it found done, each
 * trace that is acknowledged, and when it seals.
 */
const WRITER = `
  import { writeSync } from 'node:fs';
  import { openShardWriter } from ${library('shards')};
  const print = (line) => writeSync(1, line + '\\n');
  const [layers, hiddenSize, steps] = [[0, 5], 1024, 20];
  const metadata = { model: 'm', model_fingerprint: '1'.repeat(64), input_fingerprint: '2'.repeat(64), dtype: 'float32', device: 'cpu', runtime: 'r' };
  const writer = await openShardWriter(process.argv[1], { layers, hiddenSize, storage: 'F16', metadata });
  print('found ' + [...writer.finished].join(' '));
  async function append(traceIndex) {
    const states = (layer) => new Uint8Array(steps * hiddenSize * 2).fill(traceIndex + layer);
    await writer.append({
      traceIndex,
      isCorrect: traceIndex % 2 === 0,
      inputIds: new Int32Array(2 * steps).fill(traceIndex),
      stepPositions: Int32Array.from({ length: steps }, (_, k) => 2 * k),
      stepRegions: new Uint8Array(steps).fill(1),
      texts: { question: 'q' + traceIndex, original_response: 'r'.repeat(1000), full_forward_text: '', ground_truth: '', extracted_answer: '' },
      hiddenStates: new Map(layers.map((layer) => [layer, states(layer)])),
    });
    print('done ' + traceIndex);
  }
  const left = Array.from({ length: 60 }, (_, i) => (i * 37) % 60).filter((i) => !writer.finished.has(i));
  await Promise.all([0, 1, 2].map(async () => { while (left.length > 0) await append(left.pop()); }));
  print('seal');
  await writer.seal();
  print('sealed');
`;

const writerArgs = (path: string): string[] => ['--input-type=module', '--eval', WRITER, path];

interface Run {
  child: ChildProcess;
  lines: string[];
  /** Resolves with the signal that ended it. */
  ended: Promise<string | null>;
}

function start(path: string): Run {
  const child = spawn(process.execPath, writerArgs(path), { stdio: ['ignore', 'pipe', 'ignore'] });
  const lines: string[] = [];
  let text = '';
  child.stdout.on('data', (bytes) => {
    text += bytes;
    lines.splice(0, lines.length, ...text.split('\n').slice(0, -1));
  });
  const ended = new Promise<string | null>((done) => child.on('close', (_, signal) => done(signal)));
  return { child, lines, ended };
}

const after = (milliseconds: number) => new Promise((done) => setTimeout(done, milliseconds));

/** Whether a condition comes to hold before the process ends. */
async function until(run: Run, holds: () => boolean): Promise<boolean> {
  let ended = false;
  run.ended.then(() => {
    ended = true;
  });
  while (!holds() && !ended) await after(1);
  return holds();
}

const numbersOf = (lines: readonly string[], word: string): number[] =>
  lines
    .filter((line) => line.startsWith(word))
    .flatMap((line) => line.split(' ').slice(1))
    .filter(Boolean)
    .map(Number);

const MAX_RUNS = 1000;

test('a writer killed 200 times at random moments loses nothing that it acknowledged, and ends with the same bytes', async () => {
  const path = join(folder, 'x.safetensors');
  const started = Date.now();
  expect(spawnSync(process.execPath, writerArgs(path)).status).toBe(0);
  const unbroken = readFileSync(path);
  rmSync(path);

  const kills = { opening: 0, appending: 0, sealing: 0 };
  const parts = Object.keys(kills) as (keyof typeof kills)[];
  /** All that any run so far has acknowledged. */
  let acknowledged: number[] = [];
  for (let runs = 0; parts.some((part) => kills[part] < 67); runs++) {
    // Some runs end before they are killed; if most do, this test no longer shows what it says.
    expect(runs).toBeLessThan(MAX_RUNS);
    const part = parts.toSorted((a, b) => kills[a] - kills[b])[0]!;
    if (part === 'appending' && acknowledged.length === 60) {
      await removePartial(path);
      acknowledged = [];
    }
    const run = start(path);
    const begun = {
      opening: () => true,
      appending: () => run.lines.length > 0,
      sealing: () => run.lines.includes('seal'),
    }[part];
    if (await until(run, begun)) {
      await after(Math.random() * { opening: 80, appending: 40, sealing: 40 }[part]);
      run.child.kill('SIGKILL');
    }
    const signal = await run.ended;
    const found = numbersOf(run.lines, 'found');
    if (run.lines.length > 0) expect(found).toEqual(expect.arrayContaining(acknowledged));
    // Also what was found: a trace can be durable although its writer was killed before it could say so.
    acknowledged = [...new Set([...acknowledged, ...found, ...numbersOf(run.lines, 'done')])];

    if (signal === 'SIGKILL') {
      if (run.lines.includes('seal')) kills.sealing += 1;
      else if (run.lines.length > 0) kills.appending += 1;
      else kills.opening += 1;
    }
    // Whole or not there; where it is there, the next one begins from nothing.
    if (visible().length > 0) {
      expect(readFileSync(path).equals(unbroken)).toBe(true);
      await removePartial(path);
      rmSync(path);
      acknowledged = [];
    }
  }
  expect(spawnSync(process.execPath, writerArgs(path)).status).toBe(0);
  expect(readFileSync(path).equals(unbroken)).toBe(true);
  expect(readdirSync(folder)).toEqual([basename(path)]);
  console.log(`killed in ${(Date.now() - started) / 1000} s:`, kills);
});

test('of two writers that start at once one makes the shard and the other is refused, or both are', async () => {
  const path = join(folder, 'x.safetensors');
  expect(spawnSync(process.execPath, writerArgs(path)).status).toBe(0);
  const unbroken = readFileSync(path);
  for (let round = 0; round < 20; round++) {
    rmSync(path, { force: true });
    const runs = [start(path), start(path)];
    await Promise.all(runs.map(({ ended }) => ended));
    const wins = runs.filter(({ lines }) => lines.includes('sealed'));
    if (wins.length > 0) expect(readFileSync(path).equals(unbroken)).toBe(true);
    else expect(visible()).toEqual([]);
    const refused = runs.filter(({ lines }) => lines.length === 0);
    expect(wins.length + refused.length).toBe(2);
  }
});

/** Makes the n-th operation on the disk fail, for `node --import`; says on stderr when it has. */
const FAULT = `
  import fs from 'node:fs/promises';
  import { writeSync } from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  const { FAULT_AT, FAULT_ERRNO } = process.env;
  const handle = await fs.open(process.execPath);
  const prototype = Object.getPrototypeOf(handle);
  await handle.close();
  let count = 0;
  const inject = (owner, name) => {
    const original = owner[name];
    owner[name] = async function (...args) {
      if (++count !== Number(FAULT_AT)) return original.apply(this, args);
      writeSync(2, 'injected into ' + name + '\\n');
      throw Object.assign(new Error(FAULT_ERRNO + ': injected'), { code: FAULT_ERRNO, syscall: name });
    };
  };
  if (FAULT_ERRNO === 'EMFILE') inject(fs, 'open');
  else for (const name of ['write', 'sync', 'datasync']) inject(prototype, name);
  syncBuiltinESMExports();
`;

describe.each([
  ['ENOSPC', 'DISK_FULL'],
  ['EIO', 'DISK_ERROR'],
  ['EMFILE', 'TOO_MANY_FILES'],
])('%s at any operation of scorer-shards merge', (errno, code) => {
  test(`ends it with exit code 4 and ${code} with a path, without a visible file; the rerun makes the same bytes`, () => {
    const fault = join(folder, '.fault.mjs');
    writeFileSync(fault, FAULT);
    const merged = join(folder, 'merged.safetensors');
    const merge = (at: number) =>
      spawnSync(
        process.execPath,
        ['--import', pathToFileURL(fault).href, CLI, 'merge', EXAMPLE_SHARD, '--output-file', merged],
        { encoding: 'utf8', env: { ...process.env, FAULT_AT: String(at), FAULT_ERRNO: errno } },
      );
    expect(merge(0).status).toBe(0);
    const unbroken = readFileSync(merged);

    let injected = 0;
    for (let n = 1; ; n++) {
      rmSync(merged, { force: true });
      const { status, stdout, stderr } = merge(n);
      const operation = /injected into (\w+)/.exec(stderr)?.[1];
      if (!operation) {
        expect(status).toBe(0);
        break;
      }
      injected += 1;
      const line = stderr.split('\n').find((text) => text.startsWith('error['));
      expect([status, stdout, line], `operation ${n}`).toEqual([4, '', expect.stringContaining(`error[${code}]: `)]);
      expect(line).toMatch(new RegExp(`${dirname(EXAMPLE_SHARD)}|${folder}`));
      if (operation === 'write') expect(line).toMatch(/ at byte \d+/);
      // After the rename only the folder's sync can fail: then the whole shard is there.
      if (visible().length > 0) expect(readFileSync(merged).equals(unbroken)).toBe(true);
      else expect(merge(0).status).toBe(0);
      expect(readFileSync(merged).equals(unbroken)).toBe(true);
    }
    expect(injected).toBeGreaterThan(5);
  });
});

test('a file beyond 4 GiB is written and read by rows with little memory, and by Python where SCORER_PYTHON is set', async () => {
  const path = join(folder, 'large.safetensors');
  const rows = 2 ** 20 + 3;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { createAtomicFile } from ${library('files')};
       import { planSafetensors } from ${library('safetensors')};
       const rows = ${rows};
       const { header } = planSafetensors([{ name: 'x', dtype: 'U32', shape: [rows, 1024] }]);
       const file = await createAtomicFile(process.argv[1]);
       await file.write(header);
       for (let row = 0; row < rows; row++) await file.write(new Uint8Array(new Uint32Array(1024).fill(row).buffer));
       await file.commit();
       console.log(process.resourceUsage().maxRSS / 1024);`,
      path,
    ],
    { encoding: 'utf8' },
  );
  expect([status, stderr]).toEqual([0, '']);
  expect(Number(stdout)).toBeLessThan(200);

  const file = await openSafetensors(path);
  expect(file.tensor('x').end).toBeGreaterThan(2 ** 32);
  const last = await file.readRows('x', rows - 2, rows);
  expect(new Set(new Uint32Array(last.buffer))).toEqual(new Set([rows - 2, rows - 1]));
  await file.close();

  const python = process.env.SCORER_PYTHON;
  if (!python) return;
  const program = `
import sys
from safetensors import safe_open
with safe_open(sys.argv[1], "np") as file:
    x = file.get_slice("x")
    print(x.get_shape(), x[${rows - 1}:${rows}].tolist()[0][:2])`;
  const printed = spawnSync(python, ['-c', program, path], { encoding: 'utf8' });
  expect(printed.stdout).toBe(`[${rows}, 1024] [${rows - 1}, ${rows - 1}]\n`);
});

test('on a Node with Float16Array all halves and all float32 edges are converted to the same bits as on this one', () => {
  const program = `
    import { createHash } from 'node:crypto';
    import { f16ToF32, f32ToF16 } from ${library('safetensors')};
    const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const floats = new Float32Array(65536);
    f16ToF32(halves, floats);
    // Every half, and the float32 numbers just below and above it and half-way to the next.
    const bits = new Int32Array(floats.buffer);
    const near = new Float32Array(Int32Array.from({ length: 5 * 65536 }, (_, i) => bits[i % 65536] + [0, -1, 1, 0x1000, 0xfff][Math.floor(i / 65536)]).buffer);
    const narrowed = new Uint16Array(near.length);
    f32ToF16(near, narrowed);
    console.log(createHash('sha256').update(floats).update(narrowed).digest('hex'), typeof Float16Array);`;
  const run = (node: string) =>
    spawnSync(node, ['--input-type=module', '--eval', program], { encoding: 'utf8' }).stdout.trim().split(' ');
  const [here] = run(process.execPath);
  const [there, type] = run(newerNode());
  expect(type).toBe('function');
  expect(there).toBe(here);
  expect(here).toHaveLength(createHash('sha256').digest('hex').length);
});

function newerNode(): string {
  const home = join(folder, 'node');
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), '{"private": true}');
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const install = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', `${name}@24`], {
    cwd: home,
  });
  expect(install.status).toBe(0);
  return join(home, 'node_modules', name, 'bin', 'node');
}
