import type { ShardSummary } from './seal.js';
import type { FolderStat, SafetensorsStat, ShardContents, ShardStat } from './stat.js';
import type { Verified } from './verify.js';

/** What the command line prints of a result. */
export function describeVerified({ path, kind, tensors, bytes }: Verified): string {
  return `ok  ${path}  ${kind}, ${count(tensors)} tensors, ${size(bytes)}`;
}

export function describeSummary({ path, traces, steps, bytes }: ShardSummary): string {
  return `${path}  ${count(traces)} traces, ${count(steps)} steps, ${size(bytes)}`;
}

export function describeStat(stat: ShardStat | SafetensorsStat | FolderStat): string {
  const head = `${stat.path}  ${size(stat.bytes)}`;
  if (stat.kind === 'folder') {
    const shards = stat.shards.map((shard) => [shard.path, describeCounts(shard), size(shard.bytes)]);
    return [head, ...table(contentRows(stat)), `${count(stat.shards.length)} shards`, ...table(shards)].join('\n');
  }
  const contents = stat.kind === 'shard' ? contentRows(stat) : Object.entries(stat.metadata);
  const tensors = stat.tensors.map(({ name, dtype, shape }) => [name, dtype, `[${shape.join(', ')}]`]);
  return [head, ...table(contents), `${count(stat.tensors.length)} tensors`, ...table(tensors)].join('\n');
}

function contentRows(contents: ShardContents): string[][] {
  const { model, model_fingerprint, layers, hidden_size, storage, traces, labels, questions, steps } = contents;
  return [
    ['model', `${model} (${model_fingerprint.slice(0, 12)})`],
    ['layers', `${layers.join(', ')}, hidden size ${hidden_size}, ${storage}`],
    [
      'traces',
      `${count(traces)} (${count(labels.right)} right, ${count(labels.wrong)} wrong) of ${count(questions)} questions`,
    ],
    ['steps', `${count(steps)} (${count(contents.reasoning_steps)} in the reasoning)`],
    ...stepLabelRows(contents),
    ['tokens', count(contents.tokens)],
    ...confidenceRows(contents),
  ];
}

const CONFIDENCE_FROM = { model: ', computed by the model', field: ", from the records' logprobs" };

function confidenceRows({ confidence_top_k: k, confidence_from: from }: ShardContents): string[][] {
  if (k === undefined) return [];
  return [['confidence', `of each token, over the ${k} most probable${from ? CONFIDENCE_FROM[from] : ''}`]];
}

function stepLabelRows({ step_labels: labels }: ShardContents): string[][] {
  if (!labels) return [];
  return [['step labels', `${count(labels.right)} right, ${count(labels.wrong)} wrong, ${count(labels.none)} without`]];
}

function describeCounts({ traces, steps }: { traces: number; steps: number }): string {
  return `${count(traces)} traces, ${count(steps)} steps`;
}

/** Rows with their columns aligned, indented. */
function table(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd());
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
