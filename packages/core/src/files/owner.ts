import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * Temporary files and locks carry their owner in their name, `<host>-<pid>-<start>-<n>`, so that those of a process
 * that was killed can be told from those of one at work. The name is the whole record: it appears in one step, where
 * the content of a file would be empty for a moment.
 */
export const OWNER_PATTERN = /^([0-9a-f]{8})-(\d+)-(\d+)-(\d+)$/;

/** A hash: a host's name may hold any character, and is nobody's business. */
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

let count = 0;

/** A tag that no other file of this or any other process carries. */
export function newOwnerTag(): string {
  count += 1;
  return `${HOST}-${process.pid}-${startOf(process.pid) ?? 0}-${count}`;
}

export function ownerIsOnThisHost(tag: string): boolean {
  return OWNER_PATTERN.exec(tag)?.[1] === HOST;
}

/** Whether the process behind a tag may still run. One on another host can't be looked at and counts as alive. */
export function ownerIsAlive(tag: string): boolean {
  const [, , pid, start] = OWNER_PATTERN.exec(tag) ?? [];
  if (!ownerIsOnThisHost(tag)) return true;
  if (!processExists(Number(pid))) return false;
  const startNow = startOf(Number(pid));
  return startNow === undefined || startNow === Number(start);
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it runs, under another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Start time of a process in clock ticks, which tells it from a later one of the same id; undefined off Linux. */
function startOf(pid: number): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The second field is the name in parentheses and may itself hold spaces and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, start] = [fields[0], Number(fields[19])];
  // A zombie has ended and only waits for its parent to notice.
  return state === 'Z' || state === 'X' ? -1 : start;
}
