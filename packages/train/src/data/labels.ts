import { basename } from 'node:path';
import { ScorerError } from '@scorer/core/errors';
import { sha256File } from '@scorer/core/files';
import { readJsonl } from '@scorer/core/jsonl';
import type { ShardDataset } from '@scorer/core/shards';
import { z } from 'zod';

/** Labels from a file, in place of `is_correct` of the shards. */
export interface TraceLabels {
  /** [traces of the folder]: 0 … 1, of a trace with labels by step their mean. */
  readonly ofTraces: Float64Array;
  /** [rows of the folder]: what is to be learnt of each step. */
  readonly ofRows: Float32Array;
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
    /** Of all steps of the trace, those inside the prompt as well. */
    step_labels: z.array(probability).optional(),
  })
  .refine(({ label, step_labels }) => (label === undefined) !== (step_labels === undefined), {
    message: 'it needs either label or step_labels',
  });

type LabelLine = z.output<typeof labelLineSchema>;

/**
 * Reads labels by trace from a JSONL file, `{"shard": …, "trace_index": …, "label": …}`. Lines for traces that the
 * folder does not hold are refused, as they show that the file belongs to another one.
 * @throws ScorerError `LABEL_INVALID`, `LABEL_UNKNOWN_TRACE`, `LABEL_AMBIGUOUS`, `LABEL_REPEATED`, `LABEL_MISSING`, and
 * the codes of `readJsonl`
 */
export async function readLabels(path: string, dataset: ShardDataset): Promise<TraceLabels> {
  const { stepOffsets, traceCount, stepCount } = dataset;
  const find = traceFinder(dataset);
  const ofTraces = new Float64Array(traceCount).fill(Number.NaN);
  const ofRows = new Float32Array(stepCount);

  for await (const line of readJsonl(path)) {
    const where = `${path}, line ${line.line}`;
    if ('error' in line) throw line.error;
    const entry = parseLine(line.value, where);
    const trace = find(entry, where);
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
      rows.set(stepLabels);
    } else {
      rows.fill(label!);
    }
    ofTraces[trace] = label ?? mean(stepLabels!);
  }

  const missing = ofTraces.findIndex(Number.isNaN);
  if (missing !== -1) throw labelError('MISSING', `no label for ${describeTrace(dataset, missing)}`, path);
  return { ofTraces, ofRows, fingerprint: await sha256File(path) };
}

function parseLine(value: unknown, where: string): LabelLine {
  const parsed = labelLineSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw labelError('INVALID', [issue.path.join('.'), issue.message].filter(Boolean).join(': '), where);
}

/** Number of a line's trace in the folder. */
function traceFinder({ shards }: ShardDataset): (line: LabelLine, where: string) => number {
  const byShard = new Map<string, Map<number, number>>();
  let trace = 0;
  for (const { path, traceIndex } of shards) {
    byShard.set(basename(path), new Map(Array.from(traceIndex, (index) => [index, trace++])));
  }
  return ({ shard, trace_index: index }, where) => {
    const candidates = shard === undefined ? [...byShard.values()] : [byShard.get(shard) ?? new Map<number, number>()];
    const [found, other] = candidates.flatMap((traces) => traces.get(index) ?? []);
    if (found === undefined) {
      const what = `trace ${index} is not in ${shard === undefined ? 'the shards' : JSON.stringify(shard)}`;
      throw labelError('UNKNOWN_TRACE', what, where);
    }
    if (other !== undefined) throw labelError('AMBIGUOUS', `several shards have a trace ${index}; name one`, where);
    return found;
  };
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
  // A trace without steps is never learnt from, so its label does not matter.
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
