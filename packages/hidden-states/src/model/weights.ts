import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { type Dtype, openSafetensors } from '@scorer/core/safetensors';
import { z } from 'zod';
import { readTextIfPresent } from './folder.js';

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
  /** Real paths of the files, in the order of their names. */
  readonly files: readonly string[];
  readonly tensors: ReadonlyMap<string, WeightLocation>;
}

const SINGLE_FILE = 'model.safetensors';
const INDEX_FILE = 'model.safetensors.index.json';

const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

/**
 * Finds every tensor of a model folder: one `model.safetensors`, or several files with an index.
 * @throws ScorerError `WEIGHTS_NOT_FOUND`, `WEIGHTS_INDEX_INVALID`, and the codes of `openSafetensors`.
 */
export async function locateWeights(modelFolder: string): Promise<Weights> {
  const names = await weightFileNames(modelFolder);
  const files = await Promise.all(names.map((name) => realWeightPath(modelFolder, name)));
  const folder = dirname(files[0]!);
  if (files.some((file) => dirname(file) !== folder)) {
    throw new ScorerError({
      code: 'WEIGHTS_SCATTERED',
      what: 'the weight files lie in different folders',
      where: modelFolder,
      hint: 'put them, not links to them, into one folder',
    });
  }

  const tensors = new Map<string, WeightLocation>();
  for (const path of files) {
    const file = await openSafetensors(path);
    for (const { name, dtype, shape, start, end } of file.tensors.values()) {
      tensors.set(name, { dtype, shape, file: basename(path), offset: start, length: end - start });
    }
    await file.close();
  }
  return { folder, files, tensors };
}

async function weightFileNames(modelFolder: string): Promise<string[]> {
  const index = await readTextIfPresent(join(modelFolder, INDEX_FILE));
  if (index === undefined) return [SINGLE_FILE];
  const where = join(modelFolder, INDEX_FILE);
  try {
    const names = [...new Set(Object.values(indexSchema.parse(JSON.parse(index)).weight_map))].sort();
    // A name from a file must not lead out of the folder.
    if (names.length > 0 && names.every((name) => name === basename(name))) return names;
  } catch (cause) {
    throw new ScorerError({ code: 'WEIGHTS_INDEX_INVALID', what: 'the weight index is not valid', where, cause });
  }
  throw new ScorerError({
    code: 'WEIGHTS_INDEX_INVALID',
    what: 'the weight index names no files of its folder',
    where,
  });
}

async function realWeightPath(modelFolder: string, name: string): Promise<string> {
  try {
    return await realpath(join(modelFolder, name));
  } catch (cause) {
    throw new ScorerError({
      code: 'WEIGHTS_NOT_FOUND',
      what: `${name} is missing`,
      where: modelFolder,
      hint: 'a Hugging Face model folder with safetensors weights is needed',
      cause,
    });
  }
}
