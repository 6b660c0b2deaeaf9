import { ScorerError } from '@scorer/core/errors';
import type { Device } from '@scorer/core/onnx';
import { toFloat32 } from '@scorer/core/safetensors';
import type { Storage } from '@scorer/core/schema';
import type { Shard } from '@scorer/core/shards';
import { type Decoder, openDecoder } from '../decoder/decoder.js';
import type { ComputeType } from '../graph/graph-weights.js';
import type { FinalNorm } from '../import/final-norm.js';
import type { DecoderModel } from '../model/load-model.js';
import { distance } from './distance.js';
import { type Explanation, explain, type Finding, NEAR_TOKENS, type TraceMap } from './hypotheses.js';
import { reinterpreted, roundedTo } from './precision.js';
import type { SampledTrace } from './sample.js';

/** A row that was looked at. */
export interface ComparedRow {
  readonly shard: Shard;
  /** Of the shard. */
  readonly trace: number;
  readonly layer: number;
  readonly position: number;
  /** Of the stored row from the computed one. */
  readonly distance: number;
  /** A type of fewer bits, to whose values the row was rounded. */
  readonly roundedTo: Storage | undefined;
  /** Of a row that is farther off than arithmetic allows: what was found out about it. */
  readonly offRow: OffRow | undefined;
  finding?: Finding | undefined;
}

export interface OffRow {
  /** [D] */
  readonly stored: Float32Array;
  readonly expected: Float32Array;
  /** Tokens of the trace, up to and with this one. */
  readonly tokens: Int32Array;
  /** What it may be instead, if anything of its own trace. */
  readonly explanation: Explanation | undefined;
}

/** The model, ready to compute rows again. */
export interface Decoders {
  readonly lastLayer: number;
  readonly vocabularySize: number;
  readonly norm: FinalNorm;
  /** Of the layers that the shards keep. */
  kept(): Promise<Decoder>;
  /** Of every layer: for rows that are not what they should be. */
  every(): Promise<Decoder>;
  close(): Promise<void>;
}

/** Opens what is asked for, when it is. */
export function lazyDecoders(
  model: DecoderModel,
  layers: readonly number[],
  { norm, ...options }: { norm: FinalNorm; compute: ComputeType; device: Device; threads: number | undefined },
): Decoders {
  const lastLayer = model.spec.layerCount;
  const all = Array.from({ length: lastLayer + 1 }, (_, layer) => layer);
  const opened = new Map<readonly number[], Promise<Decoder>>();
  const open = (layers: readonly number[]): Promise<Decoder> => {
    const known = opened.get(layers) ?? openDecoder(model, { layers, storage: 'F32', ...options });
    opened.set(layers, known);
    return known;
  };
  return {
    lastLayer,
    vocabularySize: model.spec.vocabularySize,
    norm,
    kept: () => open(layers),
    every: () => open(all),
    async close() {
      for (const decoder of opened.values()) await (await decoder).close();
    },
  };
}

/** Of a negative one, kernels would take the token at that place from the end. */
function requireTokens(inputIds: Int32Array, { vocabularySize }: Decoders, where: string): void {
  const unknown = inputIds.find((id) => id < 0 || id >= vocabularySize);
  if (unknown === undefined) return;
  throw new ScorerError({
    code: 'AUDIT_TOKENS',
    what: `a token ${unknown}, of ${vocabularySize} that the model has`,
    where,
    hint: 'these states are not of this model',
  });
}

/** Below this a row is what it should be, whatever else it may resemble. */
const CERTAIN = 1e-3;

/** Steps before and after a row's own that it may be of: of all steps of a long trace the states would not fit into memory. */
const NEAR_STEPS = 4;

/**
 * Computes the sampled rows of a trace again, and for those that are off everything of the trace that they may be instead.
 * @param noise how far off arithmetic alone may be
 * @throws ScorerError `AUDIT_TOKENS` where the model has no such tokens, and those of computing
 */
export async function compareTrace(
  shard: Shard,
  { trace, rows }: SampledTrace,
  decoders: Decoders,
  noise: number,
): Promise<ComparedRow[]> {
  const { hiddenSize: D, storage, layers, stepOffsets, metadata } = shard;
  const inputIds = await shard.inputIds(trace);
  requireTokens(inputIds, decoders, shard.path);
  const steps = (await shard.stepPositions()).subarray(stepOffsets[trace], stepOffsets[trace + 1]);
  const positions = Int32Array.from(rows, (row) => steps[row - stepOffsets[trace]!]!);
  const computed = await (await decoders.kept()).hiddenStates({ inputIds, positions });

  const compared: ComparedRow[] = [];
  let map: TraceMap | undefined;
  for (const layer of layers) {
    const values = toFloat32('F32', computed.get(layer)!);
    for (const [i, row] of rows.entries()) {
      const position = positions[i]!;
      const bytes = await shard.readRows(layer, row, row + 1);
      const stored = toFloat32(storage, bytes);
      const expected = values.slice(i * D, (i + 1) * D);
      const claimed = distance(stored, expected);
      let explanation: Explanation | undefined;
      if (claimed > CERTAIN) {
        map ??= await traceMap(inputIds, nearPositions(inputIds, positions, steps), {
          decoder: await decoders.every(),
          D,
        });
        const claim = { values: stored, reinterpreted: reinterpreted(bytes, storage), layer, position };
        explanation = explain(claim, claimed, map, { ...decoders, steps: new Set(steps) });
      }
      const tokens = inputIds.subarray(0, position + 1);
      compared.push({
        shard,
        trace,
        layer,
        position,
        distance: claimed,
        roundedTo: roundedTo(stored, storage, metadata.dtype),
        offRow: claimed > noise || explanation ? { stored, expected, tokens, explanation } : undefined,
      });
    }
  }
  return compared;
}

/** Positions of the tokens and of the steps around the sampled ones, ascending. */
function nearPositions({ length }: Int32Array, sampled: Int32Array, steps: Int32Array): Int32Array {
  const wanted = new Set<number>();
  for (const position of sampled) {
    const step = steps.indexOf(position);
    for (const near of steps.subarray(Math.max(step - NEAR_STEPS, 0), step + NEAR_STEPS + 1)) wanted.add(near);
    for (let near = position - NEAR_TOKENS; near <= position + NEAR_TOKENS; near++) {
      if (near >= 0 && near < length) wanted.add(near);
    }
  }
  return Int32Array.from(wanted).sort();
}

/** The states of every layer at these positions. */
async function traceMap(
  inputIds: Int32Array,
  positions: Int32Array,
  { decoder, D }: { decoder: Decoder; D: number },
): Promise<TraceMap> {
  const states = await decoder.hiddenStates({ inputIds, positions });
  return new Map(
    [...states].map(([layer, bytes]) => {
      const values = toFloat32('F32', bytes);
      return [layer, new Map(Array.from(positions, (position, i) => [position, values.subarray(i * D, (i + 1) * D)]))];
    }),
  );
}
