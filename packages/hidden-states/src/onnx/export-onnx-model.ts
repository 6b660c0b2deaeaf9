import { createReadStream } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { createAtomicFile, fileError, makeFolder, writeFileAtomic } from '@scorer/core/files';
import { type ExternalBytes, type OnnxInitializer, referTo } from '@scorer/core/onnx';
import { type ExportOptions, requireSameFolder } from '../graph/export-onnx.js';
import { adaptGraph } from './adapted-graph.js';
import type { OnnxDecoderModel } from './load-onnx-model.js';

/** Where a copied tensor begins: what processors and memory maps like, and more than any element's size. */
const ALIGNMENT = 64;

/**
 * Writes what of an .onnx file leads to the wanted layers' states, as `adaptGraph` makes it: tokens [1, T] and
 * `positions` int32 [S] to `hidden_states.<layer>` [S, D]. lm_head and its weights are left out.
 * `weights`: `reference`, the new file points into the model's own, beside which it must lie; `copy`, those that it
 * needs are copied to `<name of the .onnx>.data`.
 * @returns the files written, weights first
 * @throws ScorerError `WEIGHTS_ELSEWHERE`, `OUTPUT_IS_INPUT` (usage), `ONNX_LAYOUT_UNSUPPORTED`, the codes of `adaptGraph`
 */
export async function exportOnnxModel(
  model: OnnxDecoderModel,
  { outputFile, layers, storage, weights }: Omit<ExportOptions, 'compute'>,
): Promise<string[]> {
  const adapted = adaptGraph(model, { layers, storage });
  const folder = dirname(outputFile);
  await requireOtherFile(model, outputFile);
  if (weights === 'reference') {
    await requireSameFolder(model.graph.folder, folder);
    await writeFileAtomic(outputFile, adapted.bytes);
    return [outputFile];
  }

  if (adapted.nodes.some(({ refersToFiles }) => refersToFiles)) throw bodiesRefer(model);
  const dataFile = `${outputFile}.data`;
  const copies = placesIn(basename(dataFile), adapted.initializers);
  const initializers = new Map(model.graph.initializers);
  for (const { name, initializer, place } of copies) initializers.set(name, referTo(initializer, place));
  const { bytes } = adaptGraph({ ...model, graph: { ...model.graph, initializers } }, { layers, storage });

  await makeFolder(folder);
  if (copies.length > 0) await copyWeights(model.graph.folder, copies, dataFile);
  await writeFileAtomic(outputFile, bytes);
  return copies.length > 0 ? [dataFile, outputFile] : [outputFile];
}

interface Copy {
  name: string;
  initializer: OnnxInitializer;
  from: ExternalBytes;
  place: ExternalBytes;
}

/** Where each tensor that lies in a file comes to lie in another one, one after the other. */
function placesIn(location: string, initializers: ReadonlyMap<string, OnnxInitializer>): Copy[] {
  let end = 0;
  return [...initializers].flatMap(([name, initializer]) => {
    const from = initializer.data;
    if (!from) return [];
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    end = offset + from.length;
    return { name, initializer, from, place: { location, offset, length: from.length } };
  });
}

async function copyWeights(folder: string, copies: readonly Copy[], dataFile: string): Promise<void> {
  const file = await createAtomicFile(dataFile);
  try {
    for (const { from, place } of copies) {
      await file.write(new Uint8Array(place.offset - file.bytesWritten));
      const path = join(folder, from.location);
      try {
        const end = from.offset + from.length - 1;
        for await (const chunk of createReadStream(path, { start: from.offset, end })) await file.write(chunk);
      } catch (error) {
        throw fileError(error, path);
      }
    }
    await file.commit();
  } finally {
    await file.discard();
  }
}

async function requireOtherFile({ graph }: OnnxDecoderModel, outputFile: string): Promise<void> {
  const real = await realpath(outputFile).catch(() => undefined);
  if (!graph.files.some((name) => real === join(graph.folder, name))) return;
  throw new ScorerError({
    code: 'OUTPUT_IS_INPUT',
    kind: 'usage',
    what: 'the output would replace a file of the model',
    where: outputFile,
    hint: 'choose another --output-file',
  });
}

function bodiesRefer({ name }: OnnxDecoderModel): ScorerError {
  return new ScorerError({
    code: 'ONNX_LAYOUT_UNSUPPORTED',
    what: 'weights in the body of a loop or a condition can not be copied',
    where: name,
    hint: 'write the file beside the model, without --self-contained',
  });
}
