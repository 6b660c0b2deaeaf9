import { ScorerError } from '@scorer/core/errors';
import { toFloat32 } from '@scorer/core/safetensors';
import { encodeTorch, openTorch, type TorchInput, TorchTensor } from '@scorer/core/torch';
import { type NetworkShape, type Parameters, parameterShapes } from '../engine/network.js';
import { networkInFile } from '../weights-files.js';

/** What a checkpoint of the original says beside the weights. */
export interface CheckpointFacts {
  readonly epoch: number;
  readonly best_score: number;
  /** auc, acc, f1, precision, recall: the original's names. */
  readonly metrics: Readonly<Record<string, number>>;
  readonly config_name: string;
  readonly loss_curve: readonly number[];
}

/** The key of the weights in a checkpoint; the original's reader also takes a file that is the state dict itself. */
const STATE_DICT = 'model_state_dict';

/** The bytes of a .pt file for `torch.load(weights_only=True)`, as the original's consumer reads it. */
export function encodeCheckpoint(
  network: NetworkShape,
  weights: Parameters,
  facts: CheckpointFacts | undefined,
): Uint8Array {
  const tensors = Object.entries(parameterShapes(network)).map(([name, shape]): [string, TorchInput] => [
    name,
    { dtype: 'F32', shape, data: weights[name]! },
  ]);
  return encodeTorch({ ...facts, [STATE_DICT]: new Map(tensors) });
}

/**
 * Reads the weights of a .pt file: a checkpoint of the original, of `encodeCheckpoint`, or a bare state dict.
 * @throws ScorerError `SCORER_INVALID` and the codes of `openTorch`
 */
export async function readCheckpoint(path: string): Promise<{ network: NetworkShape; weights: Parameters }> {
  const file = await openTorch(path);
  try {
    const top = file.value instanceof Map ? file.value : new Map();
    const state = top.get(STATE_DICT) ?? top;
    const tensor = (name: string): TorchTensor | undefined => {
      const value = state instanceof Map ? state.get(name) : undefined;
      return value instanceof TorchTensor ? value : undefined;
    };
    const network = networkInFile((name) => tensor(name)?.shape, path);
    const weights: Record<string, Float32Array> = {};
    for (const [name, shape] of Object.entries(parameterShapes(network))) {
      const found = tensor(name);
      if (!found || found.shape.join() !== shape.join()) {
        throw new ScorerError({
          code: 'SCORER_INVALID',
          what: `tensor ${name} is ${found ? `[${found.shape.join(', ')}]` : 'missing'}, not [${shape.join(', ')}]`,
          where: path,
          hint: 'a scorer holds net.0.weight [H, D], net.0.bias [H], net.2.weight [1, H], net.2.bias [1], under model_state_dict or at the top',
        });
      }
      weights[name] = toFloat32(found.dtype, await file.read(found));
    }
    return { network, weights };
  } finally {
    await file.close();
  }
}
