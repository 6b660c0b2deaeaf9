import { join } from 'node:path';
import { ScorerError } from '../errors/index.js';
import { fileExists, readSmallFile } from '../files/index.js';
import type { TensorInfo } from './header.js';
import { openSafetensors, type SafetensorsFile } from './read.js';

/** The tensors of a model's folder, in one file or in many, as one set. */
export interface SafetensorsModel {
  readonly folder: string;
  /** Open, in the order of their names. */
  readonly files: readonly SafetensorsFile[];
  /** By name, file by file, in the order of their data. */
  readonly tensors: ReadonlyMap<string, ModelTensor>;
  /** @throws ScorerError `TENSOR_NOT_FOUND` */
  tensor(name: string): ModelTensor;
  /** As `SafetensorsFile.read`. */
  read(name: string): Promise<Uint8Array>;
  /** As `SafetensorsFile.readRows`. */
  readRows(name: string, firstRow: number, endRow: number, into?: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A tensor and the file that it lies in, at the offsets `start` to `end`. */
export interface ModelTensor extends TensorInfo {
  readonly file: SafetensorsFile;
}

/** A model's weights in one file. */
export const SINGLE_FILE = 'model.safetensors';
/** The names of the files that a model's weights are spread over. */
export const INDEX_FILE = 'model.safetensors.index.json';

/** The indices of the largest models have some megabytes. */
const MAX_INDEX_BYTES = 100_000_000;

/**
 * Opens the weights of a Hugging Face folder and validates every header; no data is read. They are `model.safetensors`
 * where that is there, as transformers has it, else the files of `model.safetensors.index.json`. The index decides which
 * tensors belong to the model: each must be in the file that it names, and others are left out.
 * @throws ScorerError `SAFETENSORS_MODEL_NOT_FOUND`, `SAFETENSORS_INDEX_INVALID`, `SAFETENSORS_INDEX_MISMATCH`, and the
 * codes of `openSafetensors`
 */
export async function openSafetensorsModel(folder: string): Promise<SafetensorsModel> {
  const weightMap = (await fileExists(join(folder, SINGLE_FILE))) ? undefined : await readIndex(folder);
  const names = weightMap ? [...new Set(weightMap.values())].sort() : [SINGLE_FILE];
  const files: SafetensorsFile[] = [];
  const close = async (): Promise<void> => {
    for (const file of files) await file.close();
  };
  const tensors = new Map<string, ModelTensor>();
  try {
    for (const name of names) {
      const file = await openSafetensors(join(folder, name));
      files.push(file);
      for (const info of file.tensors.values()) {
        if (!weightMap || weightMap.get(info.name) === name) tensors.set(info.name, { ...info, file });
      }
    }
    for (const [tensor, name] of weightMap ?? []) {
      if (!tensors.has(tensor)) throw mismatch(tensor, join(folder, name));
    }
  } catch (error) {
    await close();
    throw error;
  }

  function tensor(name: string): ModelTensor {
    const found = tensors.get(name);
    if (found) return found;
    throw new ScorerError({ code: 'TENSOR_NOT_FOUND', what: `no tensor ${JSON.stringify(name)}`, where: folder });
  }
  return {
    folder,
    files,
    tensors,
    tensor,
    read: async (name) => tensor(name).file.read(name),
    readRows: async (name, ...rows) => tensor(name).file.readRows(name, ...rows),
    close,
  };
}

/**
 * Names of the files that an index says the weights are in; they need not be there yet.
 * @throws ScorerError `SAFETENSORS_MODEL_NOT_FOUND`, `SAFETENSORS_INDEX_INVALID`
 */
export async function indexedFiles(folder: string): Promise<string[]> {
  return [...new Set((await readIndex(folder)).values())].sort();
}

/** File of each tensor. */
async function readIndex(folder: string): Promise<Map<string, string>> {
  const path = join(folder, INDEX_FILE);
  if (!(await fileExists(path))) {
    throw new ScorerError({
      code: 'SAFETENSORS_MODEL_NOT_FOUND',
      what: `neither ${SINGLE_FILE} nor ${INDEX_FILE}`,
      where: folder,
      hint: 'a Hugging Face model folder with safetensors weights is needed',
    });
  }
  const text = await readSmallFile(path, MAX_INDEX_BYTES, (size) =>
    invalid(`it has ${size} bytes, ${MAX_INDEX_BYTES} are allowed`, path),
  );
  const files = weightMapOf(text.toString());
  if (!files || files.length === 0) throw invalid('it has no weight_map of names to files', path);
  const stray = files.find(([, name]) => !isFileOfFolder(name));
  if (stray) throw invalid(`${JSON.stringify(stray[1])} is no *.safetensors of its folder`, path);
  return new Map(files as [string, string][]);
}

function weightMapOf(text: string): [tensor: string, file: unknown][] | undefined {
  try {
    const index: unknown = JSON.parse(text);
    const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
    if (!isObject(index) || !('weight_map' in index)) return undefined;
    return isObject(index.weight_map) && !Array.isArray(index.weight_map)
      ? Object.entries(index.weight_map)
      : undefined;
  } catch {
    return undefined;
  }
}

/** A name out of a file must not lead to another folder. */
function isFileOfFolder(name: unknown): boolean {
  return typeof name === 'string' && /^[^/\\\0]+\.safetensors$/.test(name);
}

function invalid(what: string, where: string): ScorerError {
  return new ScorerError({ code: 'SAFETENSORS_INDEX_INVALID', what, where, hint: 'download the model again' });
}

function mismatch(tensor: string, where: string): ScorerError {
  const what = `the index puts tensor ${JSON.stringify(tensor)} here, where it is not`;
  return new ScorerError({ code: 'SAFETENSORS_INDEX_MISMATCH', what, where, hint: 'download the model again' });
}
