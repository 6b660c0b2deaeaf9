import { ScorerError } from '@scorer/core/errors';
import { type Device, type DeviceKind, deviceKind } from '@scorer/core/onnx';
import type { ComputeType } from '../graph/graph-weights.js';
import type { AnyModel } from './any-model.js';

/**
 * The arithmetic to use on a device; an .onnx file has its own.
 * @throws ScorerError `BAD_DTYPE` (usage) where ONNX Runtime has no attention kernel for it there
 */
export function computeTypeFor(model: AnyModel, device: Device, wish: ComputeType | undefined): ComputeType {
  const possible = model.kind === 'onnx' ? [model.compute] : COMPUTE_TYPES[deviceKind(device)];
  const compute = wish ?? possible[0]!;
  if (possible.includes(compute)) return compute;
  throw new ScorerError({
    code: 'BAD_DTYPE',
    kind: 'usage',
    what: `${compute} can't be computed ${model.kind === 'onnx' ? `with ${model.name}` : `on ${deviceKind(device)}`}`,
    where: '--dtype',
    hint: `use ${possible.join(' or ')}`,
  });
}

/** The first is the default: what the original computes in on that device. */
const COMPUTE_TYPES: Record<DeviceKind, readonly ComputeType[]> = { cpu: ['float32'], cuda: ['bfloat16', 'float16'] };
