import { readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { ReadJob } from './gather-plan.js';
import type { JobReply, JobRequest, SharedBytes } from './row-reader.js';

/** Holds a read of several parts before each goes to its place. */
let scratch = new Uint8Array(0);

parentPort!.on('message', ({ job, target }: JobRequest) => parentPort!.postMessage(serve(job, target)));

function serve(job: ReadJob, target: SharedBytes): JobReply {
  let at = 0;
  const next = (): number => job[at++]!;
  while (at < job.length) {
    const shard = next();
    const fd = next();
    const position = next();
    const bytes = next();
    const parts = next();
    const direct = parts === 1;
    const into = direct ? target.subarray(job[at + 1], job[at + 1]! + bytes) : scratchOf(bytes);
    try {
      const filled = fill(fd, position, into);
      if (filled < bytes) return { shard, endsAt: position + filled };
    } catch (error) {
      const { code = 'UNKNOWN', message } = error as NodeJS.ErrnoException;
      return { shard, errno: code, message };
    }
    for (let part = 0; part < parts; part++) {
      const from = next();
      const to = next();
      const length = next();
      if (!direct) target.set(into.subarray(from, from + length), to);
    }
  }
  return null;
}

function scratchOf(bytes: number): Uint8Array {
  if (scratch.length < bytes) scratch = new Uint8Array(bytes);
  return scratch.subarray(0, bytes);
}

/** Reads until `into` is full or the file ends; returns the number of bytes. */
function fill(fd: number, position: number, into: Uint8Array): number {
  let done = 0;
  while (done < into.length) {
    const bytesRead = readSync(fd, into, done, into.length - done, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
