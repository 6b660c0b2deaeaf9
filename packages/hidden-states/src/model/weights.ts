import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { type Dtype, openSafetensorsModel, type SafetensorsFile } from '@scorer/core/safetensors';

/** One tensor of a model on disk: enough for ONNX Runtime to read it where it lies. */
export interface WeightLocation {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** File name in `Weights.folder`. */
  readonly file: string;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly length: number;
}

export interface Weights {
  /** The folder in which the files really lie: ONNX Runtime refuses links, of which a Hugging Face cache is made. */
  readonly folder: string;
  /** Each file by its name in the model's folder, and where it really lies; in the order of their names. */
  readonly files: readonly { readonly name: string; readonly path: string }[];
  readonly tensors: ReadonlyMap<string, WeightLocation>;
}

/**
 * Finds every tensor of a model folder: one `model.safetensors`, or several files with an index.
 * @throws ScorerError `WEIGHTS_SCATTERED`, and the codes of `openSafetensorsModel`
 */
export async function locateWeights(modelFolder: string): Promise<Weights> {
  const model = await openSafetensorsModel(modelFolder);
  await model.close();

  const realPaths = new Map<SafetensorsFile, string>();
  for (const file of model.files) realPaths.set(file, await realpath(file.path));
  const files = [...realPaths].map(([file, path]) => ({ name: basename(file.path), path }));
  const folder = dirname(files[0]!.path);
  if (files.some(({ path }) => dirname(path) !== folder)) {
    throw new ScorerError({
      code: 'WEIGHTS_SCATTERED',
      what: 'the weight files lie in different folders',
      where: modelFolder,
      hint: 'put them, not links to them, into one folder',
    });
  }

  const tensors = new Map<string, WeightLocation>();
  for (const [name, { file, dtype, shape, start, end }] of model.tensors) {
    tensors.set(name, { dtype, shape, file: basename(realPaths.get(file)!), offset: start, length: end - start });
  }
  return { folder, files, tensors };
}

/**
 * A tensor that config.json asks for.
 * @param shape any where left out
 * @throws ScorerError `TENSOR_MISSING`, `TENSOR_SHAPE`
 */
export function requireTensor({ tensors, folder }: Weights, name: string, shape?: readonly number[]): WeightLocation {
  const location = tensors.get(name);
  const hint = 'config.json and the weight files must be of one model';
  if (!location)
    throw new ScorerError({ code: 'TENSOR_MISSING', what: `tensor ${name} is missing`, where: folder, hint });
  if (!shape || location.shape.join() === shape.join()) return location;
  const what = `tensor ${name} is [${location.shape}], config.json asks for [${shape}]`;
  throw new ScorerError({ code: 'TENSOR_SHAPE', what, where: folder, hint });
}
