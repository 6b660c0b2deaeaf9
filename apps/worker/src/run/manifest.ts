import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { onFile } from '@scorer/core/files';
import { storageSchema } from '@scorer/core/schema';
import { z } from 'zod';
import { fromRootPath, MAX_PATH_LENGTH, type Roots } from './roots.js';

/**
 * What a run is: which lines of which file, through which model, into which shards. It lies beside the shards as
 * `<output>.run.json`. Its SHA-256 names the run: equal input, model and settings are the same run, and a run file
 * that was changed is no longer the one that was submitted.
 */
export type Manifest = z.output<typeof manifestSchema>;
export type ManifestShard = Manifest['shards'][number];

/** 100,000 traces in shards of one take 20 MB; what is larger was not written by `submit`. */
const MAX_MANIFEST_BYTES = 256 * 1024 ** 2;

const count = z.number().int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const rootPath = z.string().min(1).max(MAX_PATH_LENGTH);

const manifestSchema = z.strictObject({
  format: z.literal('scorer.run'),
  version: z.literal(1),
  /** Paths are relative to a root. */
  model: z.strictObject({ path: rootPath, name: z.string(), fingerprint: sha256, hidden_size: count }),
  input: rootPath,
  /** Folder and first part of the shards' names. */
  output: rootPath,
  layers: z.array(count).min(1),
  storage: storageSchema,
  /** Over how many tokens a confidence is the mean; left out where none is stored. */
  confidence_top_k: count.positive().optional(),
  /** Left out, the device decides. */
  dtype: z.enum(['float32', 'float16', 'bfloat16']).optional(),
  device: z.enum(['auto', 'cpu', 'cuda']),
  ignore_config_keys: z.array(z.string()).optional(),
  shards: z
    .array(
      z.strictObject({
        /** Lines [start, end) of the input, and the bytes that they take there. */
        start: count,
        end: count,
        first_byte: count,
        end_byte: count,
        /** Lines with something on them, and what they cost: tokens up to the last step end. */
        records: count,
        tokens: count,
        steps: count,
        /** SHA-256 of the lines, each with a newline. */
        fingerprint: sha256,
      }),
    )
    .min(1),
});

/** A run as a process works on it. Paths are real ones. */
export interface Run {
  readonly id: string;
  readonly manifest: Manifest;
  /** Path of the run file relative to a root. */
  readonly file: string;
  /** Shards are `<output>_hiddenstates_<start>_<end>.safetensors`. */
  readonly output: string;
}

const SUFFIX = '.run.json';

export function runFileOf(output: string): string {
  return `${output}${SUFFIX}`;
}

/** The text of a run file and the id of the run: the first 64 bits of the text's SHA-256. */
export function encodeManifest(manifest: Manifest): { id: string; text: string } {
  const text = `${JSON.stringify(manifest)}\n`;
  return { id: idOf(text), text };
}

/**
 * Reads the run file that is named in Redis, which is believed only so far as the file bears it out.
 * @param file relative to a root
 * @throws ScorerError `RUN_FILE_INVALID`, `RUN_FILE_CHANGED`, and the codes of `fromRootPath`
 */
export async function openRun({ id, file }: Pick<Run, 'id' | 'file'>, roots: Roots): Promise<Run> {
  const path = await fromRootPath(file, roots);
  const run = await readRun(path);
  if (run.id !== id) {
    const hint = 'cancel the run and submit it again';
    throw new ScorerError({ code: 'RUN_FILE_CHANGED', what: `not the file of run ${id}`, where: path, hint });
  }
  if (run.file !== file) throw invalid(path, `it is the run file of ${run.manifest.output}`);
  return run;
}

/**
 * Reads a run file that the user names.
 * @throws ScorerError `FILE_NOT_FOUND`, `RUN_FILE_INVALID`
 */
export async function readRun(path: string): Promise<Run> {
  const text = await readLimited(path);
  const manifest = parse(text, path);
  return { id: idOf(text), manifest, file: runFileOf(manifest.output), output: path.slice(0, -SUFFIX.length) };
}

/** Path of a shard's file. */
export function shardPath({ output }: Pick<Run, 'output'>, { start, end }: ManifestShard): string {
  return join(dirname(output), `${basename(output)}_hiddenstates_${start}_${end}.safetensors`);
}

function idOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

async function readLimited(path: string): Promise<string> {
  const { size } = await onFile(path, () => stat(path));
  if (size > MAX_MANIFEST_BYTES) throw invalid(path, `${size} bytes, ${MAX_MANIFEST_BYTES} are allowed`);
  return onFile(path, () => readFile(path, 'utf8'));
}

function parse(text: string, path: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(path, error instanceof Error ? error.message : String(error));
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw invalid(path, `${issue.path.join('.')}: ${issue.message}`);
}

function invalid(path: string, what: string): ScorerError {
  return new ScorerError({
    code: 'RUN_FILE_INVALID',
    what: `not a run file: ${what}`,
    where: path,
    hint: 'submit the run again',
  });
}
