import { ScorerError } from '@scorer/core/errors';
import type { Storage } from '@scorer/core/schema';
import type { TraceTokens } from '../run/shard/trace-tokens.js';

/** Hidden states that another program made, in files of its own. */
export interface StatesSource {
  /** How the first file holds its states; undefined where there is no file. */
  readonly dtype: Storage | undefined;
  /**
   * The states of a trace at its step ends.
   * @throws ScorerError about this trace alone: `SOURCE_MISSING`, `TOKENS_DIFFER`, `LENGTHS_DIFFER`, `STEPS_DIFFER`,
   * `LAYERS_DIFFER`, `HIDDEN_SIZE_DIFFERS`, `SOURCE_DTYPE`, `SOURCE_INVALID`, and those of the file format;
   * `SOURCE_LOCKED` (retryable)
   */
  read(index: number, tokens: TraceTokens): Promise<SourceStates>;
  /** Says that a trace is on disk: deletes its file once nothing else is wanted from it, where that was asked for. */
  release(index: number): Promise<void>;
  /** Files that no trace took, by name. */
  unused(): readonly string[];
  close(): Promise<void>;
}

export interface SourceStates {
  /** Name of the file in the source's folder. */
  readonly file: string;
  readonly dtype: Storage;
  /** For each layer of the source, in its order: [S, D] row-major, little endian. */
  readonly layers: readonly Uint8Array[];
}

export interface SourceOptions {
  /** Layers in a file. */
  layerCount: number;
  hiddenSize: number;
  /** What to do with a file whose traces are all on disk. */
  afterwards: 'keep' | 'delete';
  signal?: AbortSignal | undefined;
}

/** What keeps a trace from being imported. */
export function sourceError(code: string, what: string, file: string, hint?: string): ScorerError {
  return new ScorerError({ code, what, where: file, hint });
}

/** The same error with the file's name in place of its path, which is nothing for an output to hold. */
export function withFileName(error: unknown, path: string, name: string): unknown {
  if (!(error instanceof ScorerError)) return error;
  const { code, kind, what, where, hint } = error;
  return new ScorerError({ code, kind, what, where: (where ?? path).replaceAll(path, name), hint, cause: error });
}

/** @throws ScorerError `SOURCE_DTYPE` */
export function stateDtype(dtype: string, expected: Storage | undefined, file: string): Storage {
  if (dtype !== 'F16' && dtype !== 'BF16' && dtype !== 'F32') {
    throw sourceError('SOURCE_DTYPE', `hidden states of type ${dtype}, not F16, BF16 or F32`, file);
  }
  if (expected && dtype !== expected) {
    throw sourceError('SOURCE_DTYPE', `hidden states of type ${dtype}, those of the first file are ${expected}`, file);
  }
  return dtype;
}

/** @throws ScorerError `LAYERS_DIFFER`, `HIDDEN_SIZE_DIFFERS` */
export function checkSizes(
  { layers, hiddenSize }: { layers: number; hiddenSize: number },
  expected: SourceOptions,
  file: string,
): void {
  if (layers !== expected.layerCount) {
    const what = `${layers} layers in the file, ${expected.layerCount} are named`;
    throw sourceError('LAYERS_DIFFER', what, file, 'name those of the file, in its order, with --layers');
  }
  if (hiddenSize !== expected.hiddenSize) {
    const what = `rows of ${hiddenSize} values, the model has ${expected.hiddenSize}`;
    throw sourceError('HIDDEN_SIZE_DIFFERS', what, file, 'check that the states are of this model');
  }
}

/** Index of the first token in which two sequences differ; their shorter length where they don't. */
export function commonLength(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) if (a[i] !== b[i]) return i;
  return end;
}
