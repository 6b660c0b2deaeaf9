import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ScorerError } from '@scorer/core/errors';
import type { Graph } from '@scorer/core/onnx';
import type { GraphSession, RuntimeOptions } from './runtime.js';
import type { TfjsReply, TfjsRequest } from './tfjs-protocol.js';

/**
 * A graph on TensorFlow.js: what `openSession` is for ONNX Runtime. In a process of its own, not a thread, because
 * TensorFlow's native half crashes now and then when it is unloaded; this way that is the end of its process only.
 * @throws ScorerError `ENGINE_NOT_AVAILABLE` (usage)
 */
export async function openTfjsSession(graph: Graph, { device, onWarning }: RuntimeOptions): Promise<GraphSession> {
  const child = fork(fileURLToPath(new URL('./tfjs-worker.js', import.meta.url)), {
    // Flags of the caller's process, such as --input-type, are not for the worker's file.
    execArgv: [],
    serialization: 'advanced',
    // TensorFlow reports on the processor there, whatever the log level.
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const ask = caller(child);

  const first = await ask({ kind: 'open', device, graph: graph.toProto() });
  if (first.kind !== 'ready') {
    child.kill('SIGKILL');
    throw failure(first);
  }
  onWarning?.(first.warning);

  const outputsOf = async (request: TfjsRequest) => {
    const reply = await ask(request);
    if (reply.kind === 'outputs') return reply.outputs;
    throw failure(reply);
  };
  return {
    runtime: first.runtime,
    run: (feeds, { fetch, carry = {} }) => outputsOf({ kind: 'run', feeds, fetch, carry }),
    carried: (inputs) => outputsOf({ kind: 'carried', inputs }),
    async close() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Sends a request, and gives the reply to it: they come in order. All who wait fail when the process ends. */
function caller(child: ChildProcess): (request: TfjsRequest) => Promise<TfjsReply> {
  const waiting: { resolve(reply: TfjsReply): void; reject(error: Error): void }[] = [];
  let death: Error | undefined;
  let log = '';
  const die = (error: Error): void => {
    death ??= error;
    for (const { reject } of waiting.splice(0)) reject(death);
  };
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-2000);
  });
  child.on('message', (reply: TfjsReply) => waiting.shift()?.resolve(reply));
  child.on('error', die);
  child.on('exit', (code, signal) => {
    die(new Error(`the TensorFlow.js process ended with ${signal ?? `code ${code}`}: ${log.trim()}`));
  });
  return (request) =>
    new Promise((resolve, reject) => {
      if (death) return reject(death);
      waiting.push({ resolve, reject });
      child.send(request);
    });
}

function failure(reply: TfjsReply): Error {
  if (reply.kind === 'unavailable') return new ScorerError(reply.error);
  if (reply.kind === 'failed') return new Error(`TensorFlow.js: ${reply.message}`);
  return new Error(`unexpected reply from the TensorFlow.js process: ${reply.kind}`);
}
