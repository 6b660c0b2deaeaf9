import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { graphicsCards, missingLibrary } from './device.js';

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
    const rows = 'NVIDIA H100 80GB HBM3, 580.159.04, 81559, 80000\nNVIDIA H200, 580.159.04, 143771, 1024\n';
    writeFileSync(join(folder, 'nvidia-smi'), `#!/bin/sh\nprintf '${rows.replaceAll('\n', '\\n')}'\n`);
    chmodSync(join(folder, 'nvidia-smi'), 0o755);
    process.env.PATH = [folder, path].join(delimiter);
    expect(graphicsCards()).toEqual([
      { name: 'NVIDIA H100 80GB HBM3', driver: '580.159.04', memory: 81559 * 2 ** 20, freeMemory: 80000 * 2 ** 20 },
      { name: 'NVIDIA H200', driver: '580.159.04', memory: 143771 * 2 ** 20, freeMemory: 2 ** 30 },
    ]);
  });

  test('are none without nvidia-smi', () => {
    process.env.PATH = folder;
    expect(graphicsCards()).toEqual([]);
  });
});
