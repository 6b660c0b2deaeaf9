import { ScorerError } from '@scorer/core/errors';
import { loadTensorflow } from './tfjs-backend.js';
import type { TfjsReply, TfjsRequest } from './tfjs-protocol.js';
import { type TfjsRunner, tfjsRunner } from './tfjs-run.js';

/** TensorFlow.js in a process of its own. It lives as long as the one that started it wants it. */

let runner: TfjsRunner | undefined;

// One request after the other, as they come.
let queue: Promise<void> = Promise.resolve();
process.on('message', (request: TfjsRequest) => {
  queue = queue.then(async () => void process.send!(await replyTo(request)));
});
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// Ctrl-C reaches this process too, but the other one decides what is saved before the end.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});

async function replyTo(request: TfjsRequest): Promise<TfjsReply> {
  try {
    if (request.kind === 'open') {
      const { tf, runtime, warning } = await loadTensorflow(request.device);
      runner = tfjsRunner(tf, request.graph);
      return { kind: 'ready', runtime, warning };
    }
    const outputs =
      request.kind === 'run'
        ? runner!.run(request.feeds, request.fetch, request.carry)
        : runner!.carried(request.inputs);
    return { kind: 'outputs', outputs };
  } catch (error) {
    // Fields of an error's subclass do not survive the way between processes.
    if (error instanceof ScorerError) return { kind: 'unavailable', error: { ...error } };
    return { kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}
