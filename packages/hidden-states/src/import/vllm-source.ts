import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { onFile } from '@scorer/core/files';
import { openSafetensors, type SafetensorsFile } from '@scorer/core/safetensors';
import type { TraceTokens } from '../run/shard/trace-tokens.js';
import {
  checkSizes,
  commonLength,
  type SourceOptions,
  type SourceStates,
  type StatesSource,
  sourceError,
  stateDtype,
  withFileName,
} from './source.js';
import { createTokenIndex } from './token-index.js';
import { waitForWriter } from './writer-lock.js';

const STATES = 'hidden_states';
const TOKENS = 'token_ids';

/** `hs_7` of speculators, `7` and `7-9f2c` of vLLM's offline requests: number 7 in the order in which they were sent. */
const NUMBERED = /^(?:hs_)?(\d+)(?:-[0-9a-f]+)?\.safetensors$/;

/** How many unreadable files an error names. */
const NAMED_FILES = 3;

/**
 * The files of vLLM's extract-hidden-states connector (ExampleHiddenStatesConnector), and speculators' of the same layout:
 * one safetensors file a request with `token_ids` [T] and `hidden_states` [T, L, D]. Which trace a file holds is found by
 * its tokens. More tokens than the trace has do no harm, since a state depends on none that follow; the last token may be
 * missing, for which vLLM computes no state when it generated it.
 * @throws ScorerError `SOURCE_LOCKED` (retryable), `FILE_NOT_FOUND`, …
 */
export async function openVllmSource(folder: string, options: SourceOptions): Promise<StatesSource> {
  const names = (await onFile(folder, () => readdir(folder))).filter(
    (name) => name.endsWith('.safetensors') && !name.startsWith('.'),
  );
  names.sort();
  const index = createTokenIndex();
  /** Files that can't be read, and why. */
  const broken = new Map<number, ScorerError>();
  const numbered = new Map<number, number>();
  const taken = new Set<number>();
  const takenBy = new Map<number, number>();
  let dtype: SourceStates['dtype'] | undefined;

  for (const [id, name] of names.entries()) {
    options.signal?.throwIfAborted();
    const number = NUMBERED.exec(name)?.[1];
    if (number !== undefined) numbered.set(Number(number), id);
    try {
      await onStates(id, async (file) => {
        index.add(id, await readTokens(file, name));
        dtype ??= stateDtype(file.tensor(STATES).dtype, undefined, name);
      });
    } catch (error) {
      if (!(error instanceof ScorerError) || error.kind !== 'input') throw error;
      broken.set(id, error);
    }
  }

  async function onStates<Result>(id: number, use: (file: SafetensorsFile) => Promise<Result>): Promise<Result> {
    const name = names[id]!;
    const path = join(folder, name);
    await waitForWriter(path, options);
    try {
      const file = await openSafetensors(path);
      try {
        return await use(file);
      } finally {
        await file.close();
      }
    } catch (error) {
      throw withFileName(error, path, name);
    }
  }

  /** The file with a trace's tokens: one that no other trace has, if there is one. */
  async function find(trace: number, { inputIds }: TraceTokens): Promise<number> {
    let nearest: { id: number; common: number; tokens: number } | undefined;
    let shared: number | undefined;
    const named = numbered.get(trace);
    const candidates = index.candidates(inputIds, Math.max(inputIds.length - 1, 1));
    for (const id of named === undefined ? candidates : [named, ...candidates]) {
      const failure = broken.get(id);
      if (failure) throw failure;
      const tokens = await onStates(id, (file) => readTokens(file, names[id]!)).catch((error: unknown) => {
        if (error instanceof ScorerError && error.code === 'FILE_NOT_FOUND') return undefined;
        throw error;
      });
      // Deleted after another trace took it.
      if (!tokens) continue;
      const common = commonLength(tokens, inputIds);
      if (common >= inputIds.length - 1 && (common === tokens.length || common === inputIds.length)) {
        if (!taken.has(id)) return id;
        shared ??= id;
      } else if (!taken.has(id) && common > (nearest?.common ?? 0)) {
        nearest = { id, common, tokens: tokens.length };
      }
    }
    if (shared !== undefined) return shared;
    if (nearest) {
      const { id, common, tokens } = nearest;
      const what = `its ${tokens} tokens are not the record's ${inputIds.length}: they differ from number ${common} on`;
      throw sourceError('TOKENS_DIFFER', what, names[id]!, 'send vLLM the token ids of the step records');
    }
    const unreadable = [...broken].slice(0, NAMED_FILES).map(([id, { code }]) => `${names[id]} [${code}]`);
    const what =
      names.length === 0
        ? 'no .safetensors file is there'
        : `no file of ${names.length} holds the tokens of line ${trace + 1}`;
    const note = unreadable.length > 0 ? `; ${broken.size} can't be read: ${unreadable.join(', ')}` : '';
    throw sourceError('SOURCE_MISSING', what + note, basename(folder));
  }

  return {
    dtype,
    async read(trace, tokens) {
      const { stepPositions } = tokens;
      const id = await find(trace, tokens);
      taken.add(id);
      takenBy.set(trace, id);
      const name = names[id]!;
      return onStates(id, async (file) => {
        const { shape, dtype: type } = file.tensor(STATES);
        const kind = stateDtype(type, dtype, name);
        const [rows = 0, layers = 0, hiddenSize = 0] = shape.length === 2 ? [shape[0], 1, shape[1]] : shape;
        if (shape.length !== 2 && shape.length !== 3) {
          throw sourceError('SOURCE_INVALID', `hidden states of shape [${shape.join(', ')}]`, name);
        }
        const tokenCount = file.tensor(TOKENS).shape[0]!;
        if (rows !== tokenCount) {
          throw sourceError('LENGTHS_DIFFER', `${rows} hidden states for ${tokenCount} tokens`, name);
        }
        checkSizes({ layers, hiddenSize }, options, name);
        const width = hiddenSize * (kind === 'F32' ? 4 : 2);
        const bytes = Array.from({ length: layers }, () => new Uint8Array(stepPositions.length * width));
        for (const [step, position] of stepPositions.entries()) {
          if (position >= rows) throw sourceError('LENGTHS_DIFFER', `step ${step} ends after its last token`, name);
          const row = await file.readRows(STATES, position, position + 1);
          for (const [i, layer] of bytes.entries()) {
            layer.set(row.subarray(i * width, (i + 1) * width), step * width);
          }
        }
        return { file: name, dtype: kind, layers: bytes };
      });
    },
    async release(trace) {
      const id = takenBy.get(trace);
      if (id === undefined || options.afterwards === 'keep') return;
      const path = join(folder, names[id]!);
      for (const file of [path, `${path}.lock`]) await rm(file, { force: true });
    },
    unused: () => names.filter((_, id) => !taken.has(id)),
    close: async () => {},
  };
}

/** @throws ScorerError `SOURCE_INVALID`, `TENSOR_NOT_FOUND` */
async function readTokens(file: SafetensorsFile, name: string): Promise<ArrayLike<number>> {
  const { dtype, shape } = file.tensor(TOKENS);
  file.tensor(STATES);
  if (shape.length !== 1 || (dtype !== 'I64' && dtype !== 'I32')) {
    throw sourceError('SOURCE_INVALID', `token_ids are ${dtype} [${shape.join(', ')}], not I64 [T]`, name);
  }
  const { buffer } = await file.read(TOKENS);
  return dtype === 'I32' ? new Int32Array(buffer) : Float64Array.from(new BigInt64Array(buffer), Number);
}
