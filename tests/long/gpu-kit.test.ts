/**
 * The GPU kit, dry: packed, put together from pieces that arrive in two calls, and run in an empty folder without
 * network, pnpm or this checkout, every stage at tiny size on the CPU. With SCORER_CUDA_PROVIDER, a folder that holds
 * ONNX Runtime's CUDA provider libraries, and gcc, the CUDA path too, on libraries of CUDA that compute nothing.
 * SCORER_PYTHON names a Python with PyTorch and transformers; stages that need them say so where they are missing.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PYTHON = process.env.SCORER_PYTHON ?? 'python3';
const PROVIDER = process.env.SCORER_CUDA_PROVIDER;
const STAGES = [
  'doctor',
  'operators',
  'parity:qwen3-4b',
  'speed:qwen3-8b',
  'training',
  'traces:qwen3-4b',
  'profile:qwen3-8b',
  'demo',
];
const MISSING_PIECES = 3;

const hasTransformers = spawnSync(PYTHON, ['-c', 'import torch, transformers']).status === 0;
/** Processes without any network, where the system lets us make them. */
const OFFLINE = spawnSync('/usr/bin/unshare', ['-rn', 'true']).status === 0 ? ['/usr/bin/unshare', '-rn'] : [];

let work: string;
let kit: string;

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'gpu-kit-'));
  kit = join(work, 'kit');
  must(process.execPath, [
    join(ROOT, 'bench/gpu/pack.mjs'),
    '--without-cuda',
    '--preset',
    '0',
    '--out',
    join(work, 'out'),
  ]);
});

afterAll(() => rmSync(work, { recursive: true, force: true }));

test('is put together from pieces that arrive in several calls, and a damaged one is refused', () => {
  const all = join(work, 'out/pieces');
  const { pieces } = JSON.parse(readFileSync(join(all, 'pieces.json'), 'utf8'));
  expect(pieces.length).toBeGreaterThan(1);
  for (const { bytes } of pieces) expect(bytes).toBeLessThanOrEqual(50e6);
  const [first, ...others] = pieces.map(({ name }: { name: string }) => name);
  const call = (name: string, names: string[]) => {
    const folder = join(work, name);
    mkdirSync(folder);
    for (const file of ['pieces.json', ...names]) copyFileSync(join(all, file), join(folder, file));
    return folder;
  };
  const assemble = (folder: string) =>
    spawnSync('python3', [join(ROOT, 'bench/gpu/assemble.py'), folder, kit], { encoding: 'utf8' });

  const early = assemble(call('first', [first]));
  expect(early).toMatchObject({ status: MISSING_PIECES, stdout: expect.stringContaining(others.join(' ')) });
  const damaged = call('damaged', [others[0]]);
  const bytes = readFileSync(join(damaged, others[0]));
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(join(damaged, others[0]), bytes);
  expect(assemble(damaged)).toMatchObject({ status: 1, stderr: expect.stringContaining(`${others[0]} is damaged`) });
  expect(assemble(call('second', others))).toMatchObject({ status: 0 });
  expect(readdirSync(kit).sort()).toEqual(['app', 'bench', 'bin', 'kit.json']);
});

describe(`on the CPU ${hasTransformers ? 'beside transformers' : '(what needs transformers is skipped: SCORER_PYTHON has none)'}`, () => {
  test('runs every stage', () => {
    const { outcomes, of } = runStages('out-cpu', [
      'bench/run.mjs',
      '--device',
      'cpu',
      '--scale',
      'tiny',
      '--stages',
      STAGES.join(),
    ]);
    expect(outcomes).toEqual(Object.fromEntries(STAGES.map((stage) => [stage, 'done'])));
    expect(of('doctor')).toContainEqual(
      expect.objectContaining({ doctor: expect.objectContaining({ node: expect.stringMatching(/^v22/) }) }),
    );
    expect(of('demo')).toEqual([expect.objectContaining({ device: 'cpu', auc: expect.any(Number) })]);
    for (const { operator, error, relative } of of('operators'))
      expect({ operator, error, relative }).toEqual({ operator, relative: 0 });
    if (!hasTransformers) {
      expect(of('parity:qwen3-4b')).toEqual([{ skipped: expect.stringContaining('no PyTorch') }]);
      return;
    }
    expect(of('parity:qwen3-4b').at(-1)).toMatchObject({
      layers: 3,
      layers_further_from_fp32_than_transformers_bf16: 0,
    });
    expect(of('speed:qwen3-8b').at(-1)).toMatchObject({ tokens: 128, speed: expect.any(Number) });
    expect(of('traces:qwen3-4b').at(-1)).toMatchObject({ traces: 12, failures: 0 });
  });

  test('does not run again what is done, and repeats its results', () => {
    const before = readFileSync(join(work, 'out-cpu/results.json'), 'utf8');
    rmSync(join(work, 'out-cpu'), { recursive: true });
    runStages('out-cpu', ['bench/run.mjs', '--device', 'cpu', '--scale', 'tiny', '--stages', STAGES.join()]);
    expect(readFileSync(join(work, 'out-cpu/results.json'), 'utf8')).toBe(before);
    expect(readFileSync(join(work, 'out-cpu/summary.md'), 'utf8')).toContain('| demo | done |');
  });
});

describe.skipIf(!PROVIDER)('with the CUDA provider of SCORER_CUDA_PROVIDER on libraries that compute nothing', () => {
  beforeAll(() => {
    const store = join(kit, 'app/node_modules/.pnpm');
    const runtime = readdirSync(store).find((name) => name.startsWith('onnxruntime-node@'))!;
    const libraries = join(store, runtime, 'node_modules/onnxruntime-node/bin/napi-v6/linux/x64');
    for (const name of ['cuda', 'shared']) {
      const file = `libonnxruntime_providers_${name}.so`;
      copyFileSync(join(PROVIDER!, file), join(libraries, file));
    }
  });

  test('every operator runs on CUDA in both half types, and no value is copied between devices', () => {
    const { of } = runStages('out-cuda', ['bench/rehearsal/rehearsal.mjs', 'stages'], process.env.PATH);
    const halves = of('operators').filter(({ type }) => type !== 'float32');
    expect(halves.length).toBeGreaterThan(30);
    for (const result of halves) expect(result).toMatchObject({ provider: 'CUDA', copies: 0 });
    expect(of('demo')).toContainEqual(expect.objectContaining({ device: 'cuda', dtype: 'bfloat16', failures: 0 }));
    if (hasTransformers) {
      for (const model of ['qwen3-4b', 'llama-8b', 'phi-4']) {
        const placed = of(`parity:${model}`).find(({ placement }) => placement)!;
        expect(placed.copies_between_devices).toBe(0);
        const onCpu = Object.keys(placed.placement as object).filter((key) => key.startsWith('CPU'));
        // Lengths and shapes alone.
        for (const key of onCpu) expect(key).toMatch(/^CPU (Reshape|Cast|Concat) int(32|64)$/);
      }
    }
  });

  test('a pass of an 8B model launches one flash attention a layer and copies back the wanted rows alone', () => {
    const { stdout } = must(join(kit, 'bin/node'), [join(kit, 'bench/rehearsal/rehearsal.mjs'), 'shapes', 'qwen3-8b']);
    const [, , longest] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(longest).toMatchObject({ tokens: 27000, kernels: { flash_fwd_kernel: 36, UnpackRoPEAppend: 36 } });
    const rowBytes = 4096 * 2;
    expect(longest.copies['device-host']).toEqual({ count: 1, bytes: (27000 / 30) * rowBytes });
    expect(longest.peak_gibibytes).toBeLessThanOrEqual(longest.estimate_gibibytes);
    expect(longest.peak_gibibytes).toBeGreaterThan(0.8 * longest.estimate_gibibytes);
  });
});

type Result = Record<string, unknown>;

/** Runs a script of the kit in an environment of its own, and reads its results.json. */
function runStages(out: string, [script, ...args]: [string, ...string[]], systemPath = '') {
  const bin = join(work, 'bin');
  if (!existsSync(bin)) {
    mkdirSync(bin);
    // Python alone: neither node nor npm nor pnpm.
    const python = spawnSync(PYTHON, ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).stdout.trim();
    writeFileSync(join(bin, 'python3'), `#!/bin/sh\nexec ${python} "$@"\n`, { mode: 0o755 });
    symlinkSync(realpathSync('/bin/sh'), join(bin, 'sh'));
  }
  const flags = script.endsWith('run.mjs')
    ? ['--out', join(work, out), '--work', join(work, `${out}-work`)]
    : [join(work, out)];
  const [command, ...words] = [...OFFLINE, join(kit, 'bin/node'), join(kit, script), ...args, ...flags];
  const env = {
    PATH: [bin, systemPath].filter(Boolean).join(delimiter),
    HOME: join(work, 'home'),
    TMPDIR: tmpdir(),
    HF_HUB_OFFLINE: '1',
    OMP_NUM_THREADS: '1',
  };
  must(command!, words, env);
  const { stages } = JSON.parse(readFileSync(join(work, out, 'results.json'), 'utf8')) as {
    stages: { stage: string; outcome: string; results: Result[] }[];
  };
  return {
    outcomes: Object.fromEntries(stages.map(({ stage, outcome }) => [stage, outcome])),
    of: (name: string) => stages.find(({ stage }) => stage === name)?.results ?? [],
  };
}

function must(command: string, args: string[], env?: Record<string, string>) {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, ...(env && { env }) });
  if (result.status !== 0)
    throw new Error(`${command} ${args.join(' ')}: ${result.error ?? ''}${result.stdout}${result.stderr}`);
  return result;
}
