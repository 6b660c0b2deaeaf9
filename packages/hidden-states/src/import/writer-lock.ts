import { readFile, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { ScorerError } from '@scorer/core/errors';

const POLL_MS = 100;

/** vLLM writes a file in well under this. */
const PATIENCE_MS = 60_000;

/**
 * Waits until vLLM has written a file: while it does, it holds an exclusive flock on `<file>.lock`. Linux says which locks
 * are held; elsewhere the file's header tells whether it is whole.
 * @throws ScorerError `SOURCE_LOCKED` (retryable)
 */
export async function waitForWriter(
  path: string,
  { patienceMs = PATIENCE_MS, signal }: { patienceMs?: number | undefined; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  for (let waited = 0; await isLocked(`${path}.lock`); waited += POLL_MS) {
    if (waited >= patienceMs) {
      throw new ScorerError({
        code: 'SOURCE_LOCKED',
        kind: 'retryable',
        what: 'another process is still writing the file',
        where: path,
        hint: 'wait for it, and run the same command again',
      });
    }
    await sleep(POLL_MS, undefined, { signal });
  }
}

async function isLocked(lockPath: string): Promise<boolean> {
  const lock = await stat(lockPath).catch(() => undefined);
  if (!lock) return false;
  const locks = await readFile('/proc/locks', 'utf8').catch(() => '');
  // `1: FLOCK  ADVISORY  WRITE 714 fe:00:5709954 0 EOF`: the number after the device is the file's.
  return locks.split('\n').some((line) => new RegExp(`FLOCK +\\w+ +WRITE +-?\\d+ +\\w+:\\w+:${lock.ino} `).test(line));
}
