import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cudaCards, type GraphicsCard, graphicsCards, missingLibrary } from './device.js';

const COMPILER = 'gcc';
const hasCompiler = process.platform === 'linux' && spawnSync(COMPILER, ['--version']).status === 0;

test.runIf(hasCompiler)('the first library that is missing for another one is named (needs gcc)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'libraries-'));
  const build = (name: string, code: string, ...flags: string[]): string => {
    const path = join(folder, name);
    execFileSync(COMPILER, ['-shared', '-fPIC', '-o', path, '-x', 'c', '-', '-x', 'none', ...flags], { input: code });
    return path;
  };
  const absent = build('libabsent.so.7', 'int absent(void) { return 7; }', '-Wl,-soname,libabsent.so.7');
  // As ONNX Runtime's providers: linked with another library, and with a symbol that only their host has.
  const user = build(
    'libuser.so',
    'int absent(void); int host(void); int user(void) { return absent() + host(); }',
    absent,
  );
  rmSync(absent);
  expect(missingLibrary(user)).toBe('libabsent.so.7');
  expect(missingLibrary(build('libalone.so', 'int host(void); int alone(void) { return host(); }'))).toBeUndefined();
  rmSync(folder, { recursive: true });
});

describe.runIf(process.platform !== 'win32')('the cards', () => {
  let folder: string;
  const path = process.env.PATH;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cards-'));
  });
  afterEach(() => {
    process.env.PATH = path;
    rmSync(folder, { recursive: true });
  });

  test('are those that nvidia-smi names, with their memory in bytes', () => {
    const rows =
      'NVIDIA H100 80GB HBM3, 580.159.04, 81559, 80000, GPU-1a\nNVIDIA H200, 580.159.04, 143771, 1024, GPU-2b\n';
    writeFileSync(join(folder, 'nvidia-smi'), `#!/bin/sh\nprintf '${rows.replaceAll('\n', '\\n')}'\n`);
    chmodSync(join(folder, 'nvidia-smi'), 0o755);
    process.env.PATH = [folder, path].join(delimiter);
    expect(graphicsCards()).toEqual([
      {
        name: 'NVIDIA H100 80GB HBM3',
        driver: '580.159.04',
        memory: 81559 * 2 ** 20,
        freeMemory: 80000 * 2 ** 20,
        uuid: 'GPU-1a',
      },
      { name: 'NVIDIA H200', driver: '580.159.04', memory: 143771 * 2 ** 20, freeMemory: 2 ** 30, uuid: 'GPU-2b' },
    ]);
  });

  test('are none without nvidia-smi', () => {
    process.env.PATH = folder;
    expect(graphicsCards()).toEqual([]);
  });
});

describe("CUDA's numbers of the cards", () => {
  const card = (name: string, uuid: string): GraphicsCard => ({ name, uuid, driver: '580', memory: 1, freeMemory: 1 });
  const alike = [card('H100', 'GPU-aa11'), card('H100', 'GPU-bb22'), card('H100', 'GPU-cc33')];
  const unlike = [card('T4', 'GPU-aa11'), card('H100', 'GPU-bb22')];
  const uuids = (cards: readonly GraphicsCard[], env: NodeJS.ProcessEnv): string[] | undefined =>
    cudaCards(cards, env)?.map(({ uuid }) => uuid);

  test.each([
    [undefined, ['GPU-aa11', 'GPU-bb22', 'GPU-cc33']],
    ['2,0', ['GPU-cc33', 'GPU-aa11']],
    ['GPU-bb', ['GPU-bb22']],
    ['1,-1,2', ['GPU-bb22']],
    ['1,7,2', ['GPU-bb22']],
    ['', []],
    ['MIG-5c', undefined],
  ])('are those that CUDA_VISIBLE_DEVICES leaves: %j', (CUDA_VISIBLE_DEVICES, expected) => {
    expect(uuids(alike, { CUDA_VISIBLE_DEVICES })).toEqual(expected);
  });

  test('of unlike cards are known in the order of the bus alone', () => {
    expect(uuids(unlike, {})).toBeUndefined();
    expect(uuids(unlike, { CUDA_VISIBLE_DEVICES: '1' })).toBeUndefined();
    expect(uuids(unlike, { CUDA_VISIBLE_DEVICES: 'GPU-bb22' })).toEqual(['GPU-bb22']);
    expect(uuids(unlike, { CUDA_DEVICE_ORDER: 'PCI_BUS_ID' })).toEqual(['GPU-aa11', 'GPU-bb22']);
  });
});
