import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const CLI = fileURLToPath(new URL('../bin/scorer-worker.js', import.meta.url));
const FILES = ['--model-name', 'm', '--input-path', 'i.jsonl', '--output-path', 'hs/x'];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'worker-cli-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(args: readonly string[]) {
  const env = { ...process.env, REDIS_URL: '', SCORER_ROOTS: '' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], {
    cwd: folder,
    encoding: 'utf8',
    env,
  });
  return { status, stdout, line: stderr.trim() };
}

test.each([
  ['two ways to cut shards', ['submit', ...FILES, '--shard-size', '5', '--shard-tokens', '9'], 'BAD_OPTION'],
  ['a part to differ in that there is not', ['work', '--allow-mixed', 'weather'], 'BAD_OPTION'],
  ['a limit of failures without %', ['work', '--max-shard-failures', '3'], 'BAD_OPTION'],
  ['a number of groups that is none', ['work', '--layer-groups', '0'], 'BAD_OPTION'],
  ['a command that there is not', ['start'], 'USAGE'],
  ['an address that is none', ['status', '--redis', 'localhost:6379'], 'REDIS_URL_INVALID'],
])('%s is a usage error', (_, args, code) => {
  expect(run(args)).toMatchObject({ status: 2, stdout: '', line: expect.stringContaining(`error[${code}]: `) });
});

test('a root that does not exist, and a run that was not submitted, are bad input', () => {
  expect(run(['work', '--root', 'nowhere'])).toMatchObject({
    status: 3,
    line: expect.stringMatching(/FILE_NOT_FOUND.*nowhere/),
  });
  expect(run(['verify', '--output-path', 'hs/x'])).toMatchObject({
    status: 3,
    line: expect.stringContaining('hs/x.run.json'),
  });
});

test('a server that is not there can be tried again; its password is not shown', () => {
  const { status, line } = run(['status', '--redis', 'redis://:hush@127.0.0.1:1']);
  expect(status).toBe(4);
  expect(line).toMatch(/^error\[REDIS_UNREACHABLE\]: .*redis:\/\/127\.0\.0\.1:1/);
  expect(line).not.toContain('hush');
});
