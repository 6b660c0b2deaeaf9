import { readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { onFile } from '@scorer/core/files';
import { toFloat32 } from '@scorer/core/safetensors';
import { openTorch, type TorchFile, TorchTensor, type TorchValue } from '@scorer/core/torch';
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

/** A file of the original: a list of traces, those of the lines `start` ≤ line < `end`. */
interface StepFile {
  readonly name: string;
  readonly path: string;
  readonly start: number;
  readonly end: number;
}

const NAME = /_hiddenstates_(\d+)_(\d+)\.pt$/;

/**
 * The .pt files of the original (data_hidden_state.py): lists of dicts with `select_hidden_states` [S, D], or [L, S, D]
 * with several layers, and `full_input_ids`. A file's name says which lines of the step records it holds.
 * @param path a folder of such files, or one of them; one with another name begins at line 0
 * @throws ScorerError `SOURCE_NOT_FOUND`, `SOURCES_OVERLAP`
 */
export async function openStepSource(path: string, options: SourceOptions): Promise<StatesSource> {
  const files = await listFiles(path);
  /** Released traces of each file. */
  const released = new Map<StepFile, Set<number>>();
  const asked = new Set<StepFile>();
  let open: { file: StepFile; opened: Promise<OpenList> } | undefined;
  let dtype = await firstDtype(files);

  async function listOf(file: StepFile): Promise<OpenList> {
    if (open?.file !== file) {
      await closeOpen();
      const opened = openList(file);
      // A file that can't be read is told of by each of its traces.
      opened.catch(() => {});
      open = { file, opened };
    }
    return open.opened;
  }

  async function closeOpen(): Promise<void> {
    const last = open;
    open = undefined;
    await last?.opened.then(({ torch }) => torch.close()).catch(() => {});
  }

  return {
    dtype,
    async read(index, tokens) {
      const file = files.find(({ start, end }) => start <= index && index < end);
      if (!file) throw sourceError('SOURCE_MISSING', `no file holds line ${index + 1}`, basename(path));
      asked.add(file);
      try {
        const { torch, entries } = await listOf(file);
        const entry = entries[index - file.start];
        if (entry === undefined) {
          const what = `its list has ${entries.length} traces, line ${index + 1} would be number ${index - file.start + 1}`;
          throw sourceError('SOURCE_MISSING', what, file.name);
        }
        const states = await readEntry(torch, entry, tokens, { file: file.name, dtype, options });
        dtype ??= states.dtype;
        return states;
      } catch (error) {
        throw withFileName(error, file.path, file.name);
      }
    },
    async release(index) {
      const file = files.find(({ start, end }) => start <= index && index < end);
      if (!file || options.afterwards === 'keep') return;
      const done = released.get(file) ?? new Set();
      released.set(file, done.add(index));
      const size = open?.file === file ? (await open.opened).entries.length : file.end - file.start;
      if (done.size < size) return;
      if (open?.file === file) await closeOpen();
      await rm(file.path, { force: true });
    },
    unused: () => files.filter((file) => !asked.has(file)).map(({ name }) => name),
    close: closeOpen,
  };
}

async function listFiles(path: string): Promise<StepFile[]> {
  const isFolder = (await onFile(path, () => stat(path))).isDirectory();
  const folder = isFolder ? path : dirname(path);
  const names = isFolder ? (await readdir(path)).filter((name) => name.endsWith('.pt')) : [basename(path)];
  const files = names.map((name): StepFile => {
    const [, start, end] = NAME.exec(name) ?? [];
    if (start === undefined && names.length > 1) {
      const hint = 'give it its name again, prefix_hiddenstates_START_END.pt, or import it alone';
      throw sourceError('SOURCE_NOT_FOUND', 'its name does not say which lines it holds', name, hint);
    }
    return { name, path: join(folder, name), start: Number(start ?? 0), end: Number(end ?? Number.MAX_SAFE_INTEGER) };
  });
  files.sort((a, b) => a.start - b.start);
  const overlapping = files.find(({ start }, i) => i > 0 && start < files[i - 1]!.end);
  if (overlapping) {
    const hint = 'import the sets one after the other';
    throw sourceError('SOURCES_OVERLAP', 'another file holds some of its lines too', overlapping.name, hint);
  }
  return files;
}

interface OpenList {
  readonly torch: TorchFile;
  readonly entries: readonly TorchValue[];
}

async function openList(file: StepFile): Promise<OpenList> {
  const torch = await openTorch(file.path);
  if (Array.isArray(torch.value)) return { torch, entries: torch.value };
  await torch.close();
  throw sourceError('SOURCE_INVALID', 'it holds no list of traces', file.name);
}

/** Of the first trace; files that can't be read are told of later. */
async function firstDtype(files: readonly StepFile[]): Promise<SourceStates['dtype'] | undefined> {
  for (const file of files) {
    try {
      const { torch, entries } = await openList(file);
      await torch.close();
      const states = field(entries[0], 'select_hidden_states');
      if (states instanceof TorchTensor) return stateDtype(states.dtype, undefined, file.name);
    } catch (error) {
      if (!(error instanceof ScorerError)) throw error;
    }
  }
  return undefined;
}

async function readEntry(
  torch: TorchFile,
  entry: TorchValue,
  { inputIds, stepPositions }: TraceTokens,
  { file, dtype, options }: { file: string; dtype: SourceStates['dtype'] | undefined; options: SourceOptions },
): Promise<SourceStates> {
  const states = field(entry, 'select_hidden_states');
  const ids = await tokenIds(torch, field(entry, 'full_input_ids'));
  if (!(states instanceof TorchTensor) || !ids) {
    throw sourceError('SOURCE_INVALID', 'a trace without select_hidden_states and full_input_ids', file);
  }
  const common = commonLength(ids, inputIds);
  if (common < Math.max(ids.length, inputIds.length)) {
    const what = `its ${ids.length} tokens are not the record's ${inputIds.length}: they differ from number ${common} on`;
    throw sourceError('TOKENS_DIFFER', what, file, 'name the step records and the tokenizer that it was made with');
  }
  const kind = stateDtype(states.dtype, dtype, file);
  // The original writes [S, D]; its trainer takes [L, S, D] too.
  const [steps = 0, hiddenSize = 0] = states.shape.slice(-2);
  if (states.shape.length !== 2 && states.shape.length !== 3) {
    throw sourceError('SOURCE_INVALID', `hidden states of shape [${states.shape.join(', ')}]`, file);
  }
  const layers = states.shape.length === 2 ? 1 : states.shape[0]!;
  checkSizes({ layers, hiddenSize }, options, file);
  if (steps !== stepPositions.length) {
    const what = `${steps} hidden states for the record's ${stepPositions.length} steps`;
    throw sourceError('STEPS_DIFFER', what, file, 'name the step records that it was made with');
  }
  const parts = states.shape.length === 2 ? [states] : Array.from({ length: layers }, (_, layer) => states.at(layer));
  const bytes: Uint8Array[] = [];
  for (const part of parts) bytes.push(await torch.read(part));
  return { file, dtype: kind, layers: bytes };
}

function field(entry: TorchValue | undefined, name: string): TorchValue | undefined {
  return entry instanceof Map ? entry.get(name) : undefined;
}

/** @returns undefined where it is neither a tensor of integers nor a list of numbers */
async function tokenIds(torch: TorchFile, value: TorchValue | undefined): Promise<ArrayLike<number> | undefined> {
  if (Array.isArray(value)) return value.map(Number);
  if (!(value instanceof TorchTensor) || !/^I(32|64)$/.test(value.dtype)) return undefined;
  // Ids are far below 2^24, up to which float32 is exact.
  return toFloat32(value.dtype, await torch.read(value));
}
