import type { NetworkShape, Parameters } from '../engine/network.js';
import { readScorer } from '../weights-files.js';
import { readCheckpoint } from './torch-checkpoint.js';

/**
 * The weights of a scorer, from a safetensors file or a .pt file of PyTorch.
 * @throws ScorerError the codes of `readScorer` and `readCheckpoint`
 */
export function readWeights(path: string): Promise<{ network: NetworkShape; weights: Parameters }> {
  return path.endsWith('.pt') ? readCheckpoint(path) : readScorer(path);
}
