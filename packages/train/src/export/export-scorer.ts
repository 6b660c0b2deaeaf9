import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { fileExists, makeFolder, onFile, writeFileAtomic } from '@scorer/core/files';
import { planSafetensors } from '@scorer/core/safetensors';
import { z } from 'zod';
import { FILES } from '../checkpoint.js';
import type { FeatureRows } from '../engine/engine.js';
import { type NetworkShape, type Parameters, parameterShapes } from '../engine/network.js';
import type { Overwrite } from '../overwrite.js';
import { selectionScore } from '../selection.js';
import { encodeOnnx } from './onnx-file.js';
import { readWeights } from './read-weights.js';
import { type CheckpointFacts, encodeCheckpoint } from './torch-checkpoint.js';

export type ExportFormat = 'safetensors' | 'onnx' | 'pt';

export interface ExportScorerOptions {
  /** Checkpoint folder, or a bare .safetensors or .pt file. */
  scorer: string;
  format: ExportFormat;
  outputFile: string;
  /** Type of the rows that an ONNX model takes; float32 by default. */
  rowType?: FeatureRows['type'];
  /** What to do with another file of this name; `refuse` by default. */
  overwrite?: Overwrite;
}

export interface ExportedScorer {
  path: string;
  bytes: number;
  /** `kept` where the file stood there with the same bytes. */
  status: 'written' | 'kept';
}

/**
 * Writes a scorer for another program: `safetensors` holds the bare tensors, `pt` a checkpoint that PyTorch loads with
 * `weights_only=True` and the original's consumer reads, `onnx` a model from rows to logits and probabilities.
 * Equal scorers give equal bytes.
 * @throws ScorerError `OUTPUT_EXISTS` (usage), `SCORER_INVALID`, `FILE_NOT_FOUND`, …
 */
export async function exportScorer(options: ExportScorerOptions): Promise<ExportedScorer> {
  const { scorer, format, outputFile, rowType = 'float32', overwrite = 'refuse' } = options;
  const isFolder = (await onFile(scorer, () => stat(scorer))).isDirectory();
  const { network, weights } = await readWeights(isFolder ? join(scorer, FILES.scorer) : scorer);

  const bytes = await encode();
  const status = await compare(outputFile, bytes, overwrite);
  if (status === 'written') {
    await makeFolder(dirname(outputFile));
    await writeFileAtomic(outputFile, bytes);
  }
  return { path: outputFile, bytes: bytes.length, status };

  async function encode(): Promise<Uint8Array> {
    if (format === 'onnx') return encodeOnnx(network, weights, rowType);
    if (format === 'safetensors') return encodeSafetensors(network, weights);
    return encodeCheckpoint(network, weights, isFolder ? await checkpointFacts(scorer) : undefined);
  }
}

function encodeSafetensors(network: NetworkShape, weights: Parameters): Uint8Array {
  const specs = Object.entries(parameterShapes(network)).map(([name, shape]) => ({
    name,
    dtype: 'F32' as const,
    shape,
  }));
  const { header, tensors } = planSafetensors(specs, { format: 'pt' });
  const data = tensors.map(({ name }) => {
    const { buffer, byteOffset, byteLength } = weights[name]!;
    return new Uint8Array(buffer, byteOffset, byteLength);
  });
  return Buffer.concat([header, ...data]);
}

const metricsSchema = z.object({
  auc: z.number(),
  accuracy: z.number(),
  f1: z.number(),
  precision: z.number(),
  recall: z.number(),
  best_epoch: z.number(),
  loss_curve: z.array(z.number()),
});

/** What metrics.json of the folder says of the best epoch; nothing where there is none. */
async function checkpointFacts(folder: string): Promise<CheckpointFacts | undefined> {
  const path = join(folder, FILES.metrics);
  if (!(await fileExists(path))) return undefined;
  const { auc, accuracy, f1, precision, recall, best_epoch, loss_curve } = parseMetrics(
    await readFile(path, 'utf8'),
    path,
  );
  return {
    epoch: best_epoch,
    best_score: selectionScore({ auc, accuracy, f1, precision, recall }),
    metrics: { auc, acc: accuracy, f1, precision, recall },
    config_name: basename(resolve(folder)),
    loss_curve: loss_curve.slice(0, best_epoch),
  };
}

function parseMetrics(text: string, where: string): z.output<typeof metricsSchema> {
  try {
    return metricsSchema.parse(JSON.parse(text));
  } catch (cause) {
    const what = 'it is not the metrics.json of a scorer';
    const hint = 'train again, or name the scorer.safetensors itself';
    throw new ScorerError({ code: 'SCORER_INVALID', what, where, hint, cause });
  }
}

async function compare(path: string, bytes: Uint8Array, overwrite: Overwrite): Promise<ExportedScorer['status']> {
  if (overwrite === 'replace' || !(await fileExists(path))) return 'written';
  if (Buffer.compare(await onFile(path, () => readFile(path)), bytes) === 0) return 'kept';
  throw new ScorerError({
    code: 'OUTPUT_EXISTS',
    kind: 'usage',
    what: 'another file of this name stands there',
    where: path,
    hint: 'name another --output-file, or replace it with --overwrite',
  });
}
