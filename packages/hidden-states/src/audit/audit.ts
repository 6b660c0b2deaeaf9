import { basename } from 'node:path';
import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { type DeviceWish, resolveDevice } from '@scorer/core/onnx';
import { openShardFolder, type ShardFolder } from '@scorer/core/shards';
import type { ComputeType } from '../graph/graph-weights.js';
import { readFinalNorm } from '../import/final-norm.js';
import { modelFingerprint } from '../model/fingerprint.js';
import { type DecoderModel, loadModel } from '../model/load-model.js';
import { type ComparedRow, compareTrace, type Decoders, lazyDecoders } from './compare-trace.js';
import { median } from './distance.js';
import type { Finding } from './hypotheses.js';
import { nameFindings } from './name-findings.js';
import { allowedDistance, arithmeticOf } from './precision.js';
import { type SampleSize, sampleTraces } from './sample.js';

export interface AuditOptions {
  /** Hugging Face folder or hub id of the model that the states are said to be of. */
  model: string;
  revision?: string | undefined;
  /** Folder of shards. */
  inputDir: string;
  /** Of the traces of each shard; 1 % by default, but 8 at least. */
  sample?: SampleSize;
  seed?: number;
  device?: DeviceWish;
  threads?: number | undefined;
  ignoreConfigKeys?: readonly string[] | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

/** One kind of fault in a folder. */
export interface AuditFault extends Finding {
  /** Sampled rows and traces that show it. */
  rows: number;
  traces: number;
  /** The first of them: a row of the shard that ends a step of the trace. */
  example: { shard: string; trace_index: number; layer: number; position: number };
}

export interface AuditSummary {
  good: boolean;
  faults: AuditFault[];
  /** Looked at, of how many there are. */
  traces: number;
  all_traces: number;
  rows: number;
  /** A fault in this share of the traces, or more, would have been met with 99 % probability. */
  detectable_share: number;
  /** Median distance of the rows from what was computed, relative (`distance`), by layer. */
  distance: Record<string, number>;
  /** What it may be, by what the shards say of themselves. */
  allowed_distance: number;
  /** Whether the shards name this model by its fingerprint. */
  fingerprint_matches: boolean;
  model: string;
}

const DEFAULT_SAMPLE: SampleSize = { share: 0.01 };

/** One row may be farther off than half of them are. */
const OUTLIER = 3;

/**
 * Computes some rows of a folder of shards again and says whether its states belong to this model, layer and position.
 * What they are instead is named: shifted by tokens, of another layer or step, before the final norm instead of after it,
 * of another trace, in another precision.
 * @throws ScorerError `AUDIT_HIDDEN_SIZE`, `AUDIT_LAYERS`, `AUDIT_TOKENS`, and the codes of the parts: model, shards, ONNX Runtime
 */
export async function audit(options: AuditOptions): Promise<AuditSummary> {
  const { signal, onProgress, ignoreConfigKeys: ignoreKeys, revision } = options;
  const model = await loadModel(options.model, { ignoreKeys, revision, signal, onProgress });
  const folder = await openShardFolder(options.inputDir);
  try {
    checkShape(folder, model);
    const device = await resolveDevice(options.device ?? 'auto');
    const compute: ComputeType = device === 'cpu' ? 'float32' : 'bfloat16';
    const norm = await readFinalNorm(model);
    const decoders = lazyDecoders(model, folder.layers, { norm, compute, device, threads: options.threads });
    try {
      return await auditFolder(folder, { model, decoders, compute, options });
    } finally {
      await decoders.close();
    }
  } finally {
    await folder.close();
  }
}

/** @throws ScorerError `AUDIT_HIDDEN_SIZE`, `AUDIT_LAYERS` */
function checkShape({ path, hiddenSize, layers }: ShardFolder, { name, spec }: DecoderModel): void {
  const refuse = (code: string, what: string): ScorerError =>
    new ScorerError({ code, what, where: path, hint: 'these states are not of this model' });
  if (hiddenSize !== spec.hiddenSize) {
    throw refuse('AUDIT_HIDDEN_SIZE', `rows of ${hiddenSize} values, ${name} has ${spec.hiddenSize}`);
  }
  if (layers.at(-1)! > spec.layerCount) {
    throw refuse('AUDIT_LAYERS', `layer ${layers.at(-1)}, ${name} has layers 0 to ${spec.layerCount}`);
  }
}

interface AuditContext {
  model: DecoderModel;
  decoders: Decoders;
  compute: ComputeType;
  options: AuditOptions;
}

async function auditFolder(folder: ShardFolder, context: AuditContext): Promise<AuditSummary> {
  const { model, decoders, compute, options } = context;
  const { storage } = folder;
  const { sample = DEFAULT_SAMPLE, seed = 0, signal, onProgress } = options;
  const sampled = folder.shards.flatMap((shard, i) =>
    sampleTraces(shard, sample, seed + i).map((trace) => ({ shard, ...trace })),
  );
  const allowed = Math.max(
    ...[compute, ...folder.shards.map(({ metadata }) => metadata.dtype)].map((type) =>
      allowedDistance(type, storage, model.spec.layerCount),
    ),
  );
  const noise = OUTLIER * allowed;

  const rows: ComparedRow[] = [];
  const faults: [finding: Finding, row: ComparedRow][] = [];
  for (const [done, trace] of sampled.entries()) {
    signal?.throwIfAborted();
    rows.push(...(await compareTrace(trace.shard, trace, decoders, noise)));
    onProgress?.({ stage: 'auditing', done: done + 1, total: sampled.length, unit: 'traces' });
  }
  await nameFindings(folder, rows, noise, signal);
  for (const row of rows) if (row.finding) faults.push([row.finding, row]);

  const distances: Record<string, number> = {};
  for (const layer of folder.layers) {
    const ofLayer = rows.filter((row) => row.layer === layer);
    const typical = median(ofLayer.map((row) => row.distance));
    distances[layer] = typical;
    const limit = typical > allowed ? allowed : noise;
    const off = ofLayer.filter(({ finding, distance }) => !finding && distance > limit);
    const arithmetic = arithmeticOf(median(off.map(({ distance }) => distance)), storage, model.spec.layerCount);
    const detail = `as exact as ${arithmetic}, said to be ${claimedTypes(folder)}`;
    for (const row of off) faults.push([{ kind: 'precision', detail }, row]);
  }

  const fingerprint = await modelFingerprint(model, { signal });
  return {
    good: faults.length === 0,
    faults: summarised(faults),
    traces: sampled.length,
    all_traces: folder.traceCount,
    rows: rows.length,
    detectable_share: sampled.length === 0 ? 1 : 1 - 0.01 ** (1 / sampled.length),
    distance: distances,
    allowed_distance: allowed,
    fingerprint_matches: folder.shards.every(({ metadata }) => metadata.model_fingerprint === fingerprint),
    model: model.name,
  };
}

function claimedTypes({ shards, storage }: ShardFolder): string {
  const types = [...new Set(shards.map(({ metadata }) => metadata.dtype))].join(' and ');
  return `${types} stored as ${storage}`;
}

function summarised(faults: readonly [Finding, ComparedRow][]): AuditFault[] {
  const groups = new Map<string, [Finding, ComparedRow][]>();
  for (const fault of faults) {
    const key = `${fault[0].kind} ${fault[0].detail}`;
    groups.set(key, [...(groups.get(key) ?? []), fault]);
  }
  return [...groups.values()]
    .map((group): AuditFault => {
      const [{ kind, detail }, { shard, trace, layer, position }] = group[0]!;
      const traces = new Set(group.map(([, row]) => `${row.shard.path} ${row.trace}`)).size;
      const example = { shard: basename(shard.path), trace_index: shard.traceIndex[trace]!, layer, position };
      return { kind, detail, rows: group.length, traces, example };
    })
    .sort((a, b) => b.rows - a.rows);
}
