import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ScorerError } from '../errors/index.js';
import { cardNumber } from './device-name.js';
import type { SessionOptions, WorkerReply } from './session-protocol.js';

/** CUDA's words for error 101, as ONNX Runtime hands them on. */
const CARD_MISSING = /invalid device ordinal|cudaErrorInvalidDevice/;

/** What a session's thread says went wrong, as an error of ours. */
export function sessionFailure(
  reply: Extract<WorkerReply, { kind: 'failed' }>,
  { device }: SessionOptions,
): ScorerError {
  const what = reply.message.split('\n')[0]!;
  if (reply.during === 'import') {
    return new ScorerError({
      code: 'ONNXRUNTIME_MISSING',
      what: 'onnxruntime-node is not installed or does not load here',
      where: what,
      hint: `run: ${installCommand()}`,
    });
  }
  if (/out of memory|failed to allocate|bad_alloc|cudaErrorMemoryAllocation/i.test(reply.message)) {
    return new ScorerError({
      code: 'OUT_OF_MEMORY',
      kind: 'retryable',
      what,
      where: device,
      hint: 'free memory, or use a smaller batch or a shorter trace',
    });
  }
  if (reply.during === 'create' && device !== 'cpu') {
    const where = `--device ${device}`;
    if (CARD_MISSING.test(reply.message)) {
      const what = `CUDA finds no card ${cardNumber(device)}`;
      const hint = 'scorer-hidden-states doctor lists the cards; CUDA_VISIBLE_DEVICES hides those that it leaves out';
      return new ScorerError({ code: 'CUDA_CARD_MISSING', what, where, hint });
    }
    const hint = 'run scorer-hidden-states doctor, or use --device cpu';
    return new ScorerError({ code: 'CUDA_UNAVAILABLE', what, where, hint });
  }
  const code = reply.during === 'create' ? 'ONNX_MODEL_REFUSED' : 'ONNX_RUN_FAILED';
  return new ScorerError({ code, what, where: `ONNX Runtime (${device})` });
}

/**
 * Installs the runtime beside this package, also inside npx's cache. Its install script is left out: it downloads CUDA
 * libraries and fails behind firewalls (npm then drops the optional dependency), while the CPU library needs no script.
 */
function installCommand(): string {
  const here = fileURLToPath(import.meta.url);
  const root = here.slice(0, Math.max(0, here.lastIndexOf(join('node_modules', '@scorer'))));
  const prefix = root && ` --prefix ${JSON.stringify(root)}`;
  return `npm install --ignore-scripts${prefix} onnxruntime-node@1`;
}
