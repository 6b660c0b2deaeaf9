import { constants } from 'node:fs';
import { copyFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { makeFolder, writeFileAtomic } from '@scorer/core/files';
import type { Storage } from '@scorer/core/schema';
import type { DecoderModel } from '../model/load-model.js';
import { buildDecoderGraph } from './decoder-graph.js';
import type { ComputeType } from './graph-weights.js';

export interface ExportOptions {
  /** The .onnx file to write. */
  outputFile: string;
  /** Layers to output, ascending, as in `DecoderGraphOptions`. */
  layers: readonly number[];
  compute: ComputeType;
  storage: Storage;
  /**
   * `reference`: the file points into the safetensors files, in whose folder it must lie, since ONNX Runtime reads
   * from nowhere else. `copy`: these are copied beside it, as `<name of the .onnx>.<file>`.
   */
  weights: 'reference' | 'copy';
}

/**
 * Writes a decoder as an ONNX model for ONNX Runtime (it uses operators of the com.microsoft domain): `input_ids`
 * int32 [1, T] and `positions` int32 [S] to `hidden_states.<layer>` [S, D].
 * @returns the files written, weights first
 * @throws ScorerError `WEIGHTS_ELSEWHERE` (usage), and the codes of `buildDecoderGraph`
 */
export async function exportOnnx(model: DecoderModel, options: ExportOptions): Promise<string[]> {
  const { outputFile, weights } = options;
  const folder = dirname(outputFile);
  if (weights === 'reference') {
    await requireSameFolder(model.weights.folder, folder);
    await writeFileAtomic(outputFile, buildDecoderGraph(model, options));
    return [outputFile];
  }
  await makeFolder(folder);
  const copyNames = new Map(
    model.weights.files.map(({ name, path }) => [basename(path), `${basename(outputFile)}.${name}`]),
  );
  const tensors = new Map(
    [...model.weights.tensors].map(([name, tensor]) => [name, { ...tensor, file: copyNames.get(tensor.file)! }]),
  );
  // Built before anything is copied: a model that does not fit its config.json leaves nothing behind.
  const bytes = buildDecoderGraph({ ...model, weights: { ...model.weights, tensors } }, options);
  const copies: string[] = [];
  for (const { path } of model.weights.files) {
    const copy = join(folder, copyNames.get(basename(path))!);
    await copyFile(path, copy, constants.COPYFILE_FICLONE);
    copies.push(copy);
  }
  await writeFileAtomic(outputFile, bytes);
  return [...copies, outputFile];
}

/** @throws ScorerError `WEIGHTS_ELSEWHERE` (usage) where a file in `folder` could not refer to weights in `weightsFolder` */
export async function requireSameFolder(weightsFolder: string, folder: string): Promise<void> {
  const real = await realpath(folder).catch(() => undefined);
  if (real === (await realpath(weightsFolder))) return;
  throw new ScorerError({
    code: 'WEIGHTS_ELSEWHERE',
    kind: 'usage',
    what: 'an .onnx file can refer to weights in its own folder only',
    where: folder,
    hint: `write it to ${weightsFolder}, or copy the weights beside it with --self-contained`,
  });
}
