import { basename } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { sha256File } from '@scorer/core/files';
import { readJsonl } from '@scorer/core/jsonl';
import { NO_STEP_LABEL, type ShardDataset } from '@scorer/core/shards';
import { z } from 'zod';

/** Labels in place of `is_correct` of the shards: those that steps have there, or from a file. */
export interface TraceLabels {
  readonly origin: 'steps' | 'file';
  /** [traces of the folder]: 0 … 1. */
  readonly ofTraces: Float64Array;
  /** [rows of the folder]: what is to be learnt of each step, 0 … 1; `NO_STEP_LABEL` of a step that is left out. */
  readonly ofRows: Float32Array;
}

/** What a file says of a folder, and of another one that is validated on; undefined where it has no trace of that. */
export interface LabelFile {
  readonly labels: TraceLabels;
  readonly validation: TraceLabels | undefined;
  /** SHA-256 of the file. */
  readonly fingerprint: string;
}

const probability = z.number().min(0).max(1);

/** One line of a file of labels: of a trace, or of each of its steps. */
const labelLineSchema = z
  .object({
    /** Name of the shard's file; may be left out where no other shard has a trace of this index. */
    shard: z.string().optional(),
    /** Line of the step record, 0-based, as in the shard. */
    trace_index: z.number().int().nonnegative(),
    label: z.union([probability, z.boolean().transform(Number)]).optional(),
    /** Of all steps of the trace, those inside the prompt as well; null for a step that is left out. */
    step_labels: z.array(probability.nullable()).optional(),
  })
  .refine(({ label, step_labels }) => (label === undefined) !== (step_labels === undefined), {
    message: 'it needs either label or step_labels',
  });

type LabelLine = z.output<typeof labelLineSchema>;

/** The labels that the steps of a folder have in its shards; undefined where no step has one. */
export async function stepLabelsOf(dataset: ShardDataset): Promise<TraceLabels | undefined> {
  const ofRows = await dataset.stepLabels();
  return ofRows && { origin: 'steps', ofTraces: Float64Array.from(dataset.labels), ofRows };
}

/**
 * Reads labels by trace from a JSONL file, `{"shard": …, "trace_index": …, "label": …}`. A trace with labels by step has
 * their mean for its own. Lines for traces that no folder holds are refused, as they show that the file belongs to
 * another one.
 * @param validation a second folder, whose traces the file may label too: all of them or none. A line that fits both
 * folders is the first one's
 * @throws ScorerError `LABEL_INVALID`, `LABEL_UNKNOWN_TRACE`, `LABEL_AMBIGUOUS`, `LABEL_REPEATED`, `LABEL_MISSING`, and
 * the codes of `readJsonl`
 */
export async function readLabels(path: string, dataset: ShardDataset, validation?: ShardDataset): Promise<LabelFile> {
  const folders = [labelledFolder(dataset), ...(validation ? [labelledFolder(validation)] : [])];
  for await (const line of readJsonl(path)) {
    const where = `${path}, line ${line.line}`;
    if ('error' in line) throw line.error;
    const entry = parseLine(line.value, where);
    if (!folders.some(({ add }) => add(entry, where))) throw unknownTrace(entry, where);
  }
  const [first, second] = folders;
  return {
    labels: first!.result(path),
    validation: second?.isEmpty() ? undefined : second?.result(path),
    fingerprint: await sha256File(path),
  };
}

/** Takes the lines for the traces of one folder. */
function labelledFolder(dataset: ShardDataset) {
  const { stepOffsets, traceCount, stepCount } = dataset;
  const find = traceFinder(dataset);
  const ofTraces = new Float64Array(traceCount).fill(Number.NaN);
  const ofRows = new Float32Array(stepCount);

  /** Whether the line is for a trace of this folder. */
  function add(entry: LabelLine, where: string): boolean {
    const trace = find(entry, where);
    if (trace === undefined) return false;
    if (!Number.isNaN(ofTraces[trace])) {
      throw labelError('REPEATED', `trace ${entry.trace_index} has a label already`, where);
    }
    const rows = ofRows.subarray(stepOffsets[trace], stepOffsets[trace + 1]);
    const { label, step_labels: stepLabels } = entry;
    if (stepLabels) {
      if (stepLabels.length !== rows.length) {
        const what = `trace ${entry.trace_index} has ${rows.length} steps, and ${stepLabels.length} labels here`;
        throw labelError('INVALID', what, where);
      }
      rows.set(stepLabels.map((label) => label ?? NO_STEP_LABEL));
    } else {
      rows.fill(label!);
    }
    ofTraces[trace] = label ?? mean(stepLabels!.filter((label) => label !== null));
    return true;
  }

  function result(path: string): TraceLabels {
    const missing = ofTraces.findIndex(Number.isNaN);
    if (missing !== -1) throw labelError('MISSING', `no label for ${describeTrace(dataset, missing)}`, path);
    return { origin: 'file', ofTraces, ofRows };
  }

  return { add, result, isEmpty: () => ofTraces.every(Number.isNaN) };
}

function parseLine(value: unknown, where: string): LabelLine {
  const parsed = labelLineSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw labelError('INVALID', [issue.path.join('.'), issue.message].filter(Boolean).join(': '), where);
}

/** Number of a line's trace in the folder; undefined where it is not there. */
function traceFinder({ shards }: ShardDataset): (line: LabelLine, where: string) => number | undefined {
  const byShard = new Map<string, Map<number, number>>();
  let trace = 0;
  for (const { path, traceIndex } of shards) {
    byShard.set(basename(path), new Map(Array.from(traceIndex, (index) => [index, trace++])));
  }
  return ({ shard, trace_index: index }, where) => {
    const candidates = shard === undefined ? [...byShard.values()] : [byShard.get(shard) ?? new Map<number, number>()];
    const [found, other] = candidates.flatMap((traces) => traces.get(index) ?? []);
    if (other !== undefined) throw labelError('AMBIGUOUS', `several shards have a trace ${index}; name one`, where);
    return found;
  };
}

function unknownTrace({ shard, trace_index: index }: LabelLine, where: string): ScorerError {
  const what = `trace ${index} is not in ${shard === undefined ? 'the shards' : JSON.stringify(shard)}`;
  return labelError('UNKNOWN_TRACE', what, where);
}

function describeTrace({ shards }: ShardDataset, trace: number): string {
  let first = 0;
  for (const { path, traceIndex } of shards) {
    if (trace < first + traceIndex.length) return `trace ${traceIndex[trace - first]} of ${basename(path)}`;
    first += traceIndex.length;
  }
  throw new RangeError(`no trace ${trace}`);
}

function mean(values: readonly number[]): number {
  // A trace without labelled steps is never learnt from, so its label does not matter.
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function labelError(problem: string, what: string, where: string): ScorerError {
  return new ScorerError({
    code: `LABEL_${problem}`,
    what,
    where,
    hint: 'one line a trace: {"shard": "x.safetensors", "trace_index": 0, "label": 0.5}, or "step_labels": [0.5, …]',
  });
}
