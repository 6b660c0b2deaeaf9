import type { GradeSummary } from './grade-file.js';
import type { PreprocessedFile } from './preprocess-file.js';
import { REJECT_CODES, type RejectCode } from './reject.js';
import type { Distribution } from './statistics.js';

/** The result of a run as `--json` prints it: sums over all files, and each file by itself. */
export interface RunTotals {
  traces_in: number;
  traces_out: number;
  rejects: Partial<Record<RejectCode, number>>;
  correct: number;
  /** Different questions, counted in each file. */
  questions: number;
  tokens: number;
  steps: number;
  files: readonly PreprocessedFile[];
}

export function totalsOf(files: readonly PreprocessedFile[]): RunTotals {
  const total = (count: (file: PreprocessedFile) => number): number =>
    files.reduce((sum, file) => sum + count(file), 0);
  const rejects = REJECT_CODES.map((code) => [code, total((file) => file.rejects[code] ?? 0)] as const);
  return {
    traces_in: total((file) => file.traces_in),
    traces_out: total((file) => file.traces_out),
    rejects: Object.fromEntries(rejects.filter(([, count]) => count > 0)),
    correct: total((file) => file.correct),
    questions: total((file) => file.questions),
    tokens: total((file) => file.tokens),
    steps: total((file) => file.steps),
    files,
  };
}

export function describeRun({ files, ...totals }: RunTotals, { dryRun }: { dryRun: boolean }): string {
  const all = files.length > 1 ? [`all ${files.length} files: ${describeCounts(totals)}`] : [];
  return [...files.map((file) => describeFile(file, { dryRun })), ...all].join('\n\n');
}

export function describeGrades({ output_file, pairs, equal, rules }: Omit<GradeSummary, 'alreadyDone'>): string {
  const byRule = Object.entries(rules).map(([rule, count]) => `  ${rule}: ${count}`);
  return [`${output_file}: ${equal} of ${pairs} pairs equal (${percent(equal, pairs)})`, ...byRule].join('\n');
}

function describeFile(file: PreprocessedFile, { dryRun }: { dryRun: boolean }): string {
  return [
    `${dryRun ? `${file.input_file} (dry run)` : file.output_file}: ${describeCounts(file)}`,
    `  correct: ${percent(file.correct_share_by_question, 1)} as the mean over ${file.questions} questions`,
    `  tokens a trace: ${describeDistribution(file.tokens_per_trace)}`,
    `  steps a trace: ${describeDistribution(file.steps_per_trace)}`,
    ...(file.step_labels ? [`  step labels: ${describeLabels(file.step_labels)}`] : []),
    ...(file.traces_in > file.traces_out && !dryRun ? [`  rejected lines: ${file.rejects_file}`] : []),
  ].join('\n');
}

function describeCounts(counts: Omit<RunTotals, 'files'>): string {
  const rejects = Object.entries(counts.rejects).map(([code, count]) => `${count} ${code}`);
  return [
    `${counts.traces_out} of ${counts.traces_in} traces`,
    `${counts.correct} correct (${percent(counts.correct, counts.traces_out)})`,
    `${counts.tokens} tokens`,
    `${counts.steps} steps`,
    `rejected: ${rejects.join(', ') || 'none'}`,
  ].join(', ');
}

function describeDistribution({ min, median, p95, max }: Distribution): string {
  return `min ${min}, median ${median}, p95 ${p95}, max ${max}`;
}

function describeLabels({ right, wrong, none }: NonNullable<PreprocessedFile['step_labels']>): string {
  return `${right} right, ${wrong} wrong, ${none} step ends without`;
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(whole, Number.MIN_VALUE)).toFixed(1)} %`;
}
