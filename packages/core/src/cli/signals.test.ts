import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';

/** A command that takes a while to stop cleanly, and says when it has begun and when it was asked to. */
const PROGRAM = `
  import { runCli } from ${JSON.stringify(new URL('../../dist/cli/index.js', import.meta.url).href)};
  await runCli({
    name: 'slow',
    describe: '',
    packageUrl: ${JSON.stringify(new URL('../../dist/cli.js', import.meta.url).href)},
    commands: [{
      name: 'stop',
      describe: '',
      isDefault: true,
      options: {},
      async run(_, { signal }) {
        process.stdout.write('begun');
        await new Promise((stopped) => {
          const alive = setInterval(() => {}, 100);
          signal.onabort = () => {
            process.stdout.write('asked');
            setTimeout(() => (clearInterval(alive), stopped()), 2_000);
          };
        });
        signal.throwIfAborted();
      },
    }],
  });
`;

/** Sends the signals, each so many milliseconds after the one before it; the first once the command runs. */
async function stopped(...signals: [name: 'SIGINT' | 'SIGTERM', after: number][]) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = once(child, 'exit');
  await once(child.stdout, 'data');
  for (const [i, [name, after]] of signals.entries()) {
    if (i > 0) await delay(after);
    child.kill(name);
    if (i === 0) await once(child.stdout, 'data');
  }
  const [code, signal] = await ended;
  return { code, signal, stderr };
}

test('a signal that comes twice, as GNU timeout and npx send it, still stops cleanly', async () => {
  const { code, stderr } = await stopped(['SIGTERM', 0], ['SIGTERM', 100], ['SIGTERM', 100]);
  expect(code).toBe(143);
  expect(stderr).toContain('goes on from here');
});

test('a signal that comes again later ends the process at once, as that signal', async () => {
  expect(await stopped(['SIGINT', 0], ['SIGINT', 1_300])).toEqual({ code: null, signal: 'SIGINT', stderr: '' });
});
