import { ScorerError } from '@scorer/core/errors';
import { openSafetensors, type SafetensorsFile, type TensorWithData, writeSafetensors } from '@scorer/core/safetensors';
import { z } from 'zod';
import type { TrainingState } from './engine/engine.js';
import { type NetworkShape, type Parameters, parameterShapes } from './engine/network.js';
import { epochSchema } from './metrics-file.js';
import type { Epoch } from './selection.js';

/** Writes weights under the names that the original's reader knows, F32. */
export async function writeScorer(path: string, network: NetworkShape, weights: Parameters): Promise<void> {
  await writeSafetensors(path, tensorsOf('', network, weights), { format: 'pt' });
}

/**
 * Reads the weights that `writeScorer` wrote, or any file with such tensors.
 * @throws ScorerError `SCORER_INVALID`, the codes of `openSafetensors`
 */
export async function readScorer(path: string): Promise<{ network: NetworkShape; weights: Parameters }> {
  const file = await openSafetensors(path);
  try {
    const network = networkInFile((name) => file.tensors.get(name)?.shape, path);
    return { network, weights: await readParameters(file, '', network) };
  } finally {
    await file.close();
  }
}

const historySchema = z.array(epochSchema);

/** Names of the groups of tensors in state.safetensors: the weights as in a scorer, Adam's sums with a prefix. */
const GRADIENT_SUM = 'gradient_sum.';
const SQUARE_SUM = 'square_sum.';

/** Writes all that training goes on from: the tensors of the state, and in the metadata the epochs so far. */
export async function writeState(
  path: string,
  network: NetworkShape,
  { step, weights, gradientSums, squareSums }: TrainingState,
  history: readonly Epoch[],
): Promise<void> {
  const tensors = [
    ...tensorsOf('', network, weights),
    ...tensorsOf(GRADIENT_SUM, network, gradientSums),
    ...tensorsOf(SQUARE_SUM, network, squareSums),
  ];
  const metadata = { format: 'scorer.training-state', step: String(step), history: JSON.stringify(history) };
  await writeSafetensors(path, tensors, metadata);
}

/** @throws ScorerError the codes of `readScorer` */
export async function readState(
  path: string,
  network: NetworkShape,
): Promise<{ state: TrainingState; history: Epoch[] }> {
  const file = await openSafetensors(path);
  try {
    const state = {
      step: Number(file.metadata.step),
      weights: await readParameters(file, '', network),
      gradientSums: await readParameters(file, GRADIENT_SUM, network),
      squareSums: await readParameters(file, SQUARE_SUM, network),
    };
    return { state, history: readHistory(file) };
  } finally {
    await file.close();
  }
}

function readHistory({ metadata, path }: SafetensorsFile): Epoch[] {
  try {
    return historySchema.parse(JSON.parse(metadata.history ?? '[]'));
  } catch (cause) {
    throw new ScorerError({
      code: 'SCORER_INVALID',
      what: 'its metadata are not those of a training state',
      where: path,
      cause,
    });
  }
}

/**
 * The network whose Linears a file holds: as many as there are from net.0 on.
 * @throws ScorerError `SCORER_INVALID` where there is none
 */
export function networkInFile(shapeOf: (name: string) => readonly number[] | undefined, path: string): NetworkShape {
  const shapes: (readonly number[])[] = [];
  for (let shape = shapeOf('net.0.weight'); shape; shape = shapeOf(`net.${2 * shapes.length}.weight`)) {
    shapes.push(shape);
  }
  const inputSize = shapes[0]?.[1] ?? 0;
  if (inputSize === 0) {
    throw new ScorerError({
      code: 'SCORER_INVALID',
      what: 'it is no scorer: it has no matrix net.0.weight',
      where: path,
      hint: 'name the folder of a checkpoint, or its scorer.safetensors',
    });
  }
  return { inputSize, hiddenUnits: shapes.slice(0, -1).map(([outputs = 0]) => outputs) };
}

function tensorsOf(prefix: string, network: NetworkShape, parameters: Parameters): TensorWithData[] {
  return Object.entries(parameterShapes(network)).map(([name, shape]) => ({
    name: `${prefix}${name}`,
    dtype: 'F32',
    shape,
    data: parameters[name]!,
  }));
}

async function readParameters(file: SafetensorsFile, prefix: string, network: NetworkShape): Promise<Parameters> {
  const parameters: Record<string, Float32Array> = {};
  for (const [name, shape] of Object.entries(parameterShapes(network))) {
    const info = file.tensors.get(`${prefix}${name}`);
    const expected = `F32 [${shape.join(', ')}]`;
    const found = info ? `${info.dtype} [${info.shape.join(', ')}]` : 'missing';
    if (found !== expected) {
      throw new ScorerError({
        code: 'SCORER_INVALID',
        what: `tensor ${prefix}${name} is ${found}, not ${expected}`,
        where: file.path,
        hint: 'a scorer with one hidden layer holds net.0.weight [H, D], net.0.bias [H], net.2.weight [1, H], net.2.bias [1]',
      });
    }
    const bytes = await file.read(`${prefix}${name}`);
    parameters[name] = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  }
  return parameters;
}
