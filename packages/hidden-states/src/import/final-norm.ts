import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { onFile, readFully } from '@scorer/core/files';
import { toFloat32 } from '@scorer/core/safetensors';
import type { DecoderModel } from '../model/load-model.js';

/** The RMS norm behind a decoder's last layer: x ↦ x · rsqrt(mean(x²) + ε) · weight (arXiv 1910.07467). */
export interface FinalNorm {
  /** [D] */
  readonly weight: Float32Array;
  readonly epsilon: number;
}

/** @throws ScorerError `TENSOR_MISSING`, `TENSOR_SHAPE` */
export async function readFinalNorm({ spec, architecture, weights }: DecoderModel): Promise<FinalNorm> {
  const name = architecture.tensors.finalNorm;
  const location = weights.tensors.get(name);
  if (!location) throw new ScorerError({ code: 'TENSOR_MISSING', what: `no tensor ${name}`, where: weights.folder });
  const path = join(weights.folder, location.file);
  const handle = await onFile(path, () => open(path, 'r'));
  try {
    const bytes = new Uint8Array(location.length);
    await readFully(handle, path, location.offset, bytes);
    const weight = toFloat32(location.dtype, bytes);
    if (weight.length === spec.hiddenSize) return { weight, epsilon: spec.normEpsilon };
  } finally {
    await handle.close();
  }
  throw new ScorerError({ code: 'TENSOR_SHAPE', what: `${name} is not [${spec.hiddenSize}]`, where: path });
}

/** Rows [S, D] after the norm. */
export function normalised(rows: Float32Array, { weight, epsilon }: FinalNorm): Float32Array {
  const D = weight.length;
  const result = new Float32Array(rows.length);
  for (let start = 0; start < rows.length; start += D) {
    let squares = 0;
    for (let d = 0; d < D; d++) squares += rows[start + d]! ** 2;
    const factor = 1 / Math.sqrt(squares / D + epsilon);
    for (let d = 0; d < D; d++) result[start + d] = rows[start + d]! * factor * weight[d]!;
  }
  return result;
}
