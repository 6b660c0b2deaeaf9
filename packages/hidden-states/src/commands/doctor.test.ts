import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { cudaProviderPath } from '@scorer/core/onnx';
import { expect, test } from 'vitest';
import { libraryFix, providerFix } from './cuda-fix.js';

const BIN = fileURLToPath(new URL('../../bin/scorer-hidden-states.js', import.meta.url));

const lacksProvider = process.platform === 'linux' && process.arch === 'x64' && !cudaProviderPath();

test.runIf(lacksProvider)('where the CUDA provider is missing, doctor gives the commands that install it', () => {
  const run = (...flags: string[]): string =>
    spawnSync(process.execPath, [BIN, 'doctor', ...flags], { encoding: 'utf8' }).stdout;
  const { devices } = JSON.parse(run('--json'));
  const version = devices.cpu.runtime.split(' ').at(-1);
  expect(devices.cuda).toMatchObject({
    works: false,
    fix: [expect.stringContaining(`onnxruntime-gpu==${version}`), expect.any(String), expect.any(String)],
  });
  const paths = devices.cuda.fix.join(' ').match(/\/\S+(?:x64|install\.js)/g);
  expect(paths.map((path: string) => existsSync(path))).toEqual([true, true]);
  for (const line of devices.cuda.fix) expect(run()).toContain(line);
});

test('paths in the commands are quoted where a shell needs it', () => {
  expect(providerFix('1.30.0', "/a b/it's/bin/napi-v6/linux/x64")[1]).toMatch(
    / -d '\/a b\/it'\\''s\/bin\/napi-v6\/linux\/x64'$/,
  );
});

test('the driver is not what pip installs', () => {
  expect(libraryFix('libcuda.so.1').join()).toContain('driver');
  expect(libraryFix('libcublas.so.13').join()).toMatch(/pip install .*nvidia-cublas.*LD_LIBRARY_PATH/);
});
