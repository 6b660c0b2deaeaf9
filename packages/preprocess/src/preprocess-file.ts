import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { formatJsonLine } from '@scorer/core/jsonl';
import { stepRecordSchema } from '@scorer/core/schema';
import { loadTokenizer } from '@scorer/core/tokenizer';
import { makeOnce } from './make-once.js';
import { preprocessLine } from './preprocess-line.js';
import { createPreprocessContext, type PreprocessContext, type TraceOptions } from './preprocess-trace.js';
import { readInput, STDIN } from './read-input.js';
import type { RejectedLine } from './reject.js';
import { softwareVersion } from './software-version.js';
import { collectStatistics, type FileStatistics, fileStatisticsSchema } from './statistics.js';
import { planTargets, type Target } from './targets.js';

export interface PreprocessOptions extends TraceOptions {
  /** JSONL files of raw traces, also .gz and .zst; `-` is stdin. */
  inputFiles: readonly string[];
  /** Folder for `<basename>.jsonl` and `<basename>.rejects.jsonl`; made where it is missing. */
  outputDir: string;
  /** Hugging Face model folder with tokenizer and chat template, or its tokenizer.json. */
  tokenizerPath: string;
  /** Further fields of the input to copy behind the nine of a step record. */
  keep?: readonly string[] | undefined;
  /** Reads no more than so many lines of each file. */
  limit?: number | undefined;
  /** Makes outputs anew that exist. */
  overwrite?: boolean | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
}

export interface PreprocessedFile extends FileStatistics {
  input_file: string;
  output_file: string;
  rejects_file: string;
}

export interface PreprocessSummary {
  files: PreprocessedFile[];
  /** Output files that an earlier run had finished. */
  alreadyDone: string[];
  warnings: string[];
}

const PROBE_QUESTION = 'What is 1 + 1?';

/**
 * Turns files of raw traces into files of step records, one line at a time, in order. The outputs of a file appear
 * together when it is done; a line that can't be used goes to its rejects file.
 * @throws ScorerError `TOKENIZER_NOT_FOUND`, `TOKENIZER_INVALID`, `CHAT_TEMPLATE_MISSING`, `CHAT_TEMPLATE_FAILED`,
 *   `FILE_NOT_FOUND`, `SAME_OUTPUT`, `OUTPUT_IS_INPUT`, `OUTPUT_EXISTS`, `FIELD_TAKEN`, `NO_USABLE_LINE`, and what the disk says
 */
export async function preprocessFiles(options: PreprocessOptions): Promise<PreprocessSummary> {
  const targets = await planTargets(options.inputFiles, options.outputDir);
  refuseReplacedFields(options.keep ?? []);
  const context = createPreprocessContext(await loadTokenizer(options.tokenizerPath), options);
  // A template that refuses every question is an error of the call, not of a hundred thousand lines.
  context.renderPrompt(PROBE_QUESTION);

  const summary: PreprocessSummary = { files: [], alreadyDone: [], warnings: warningsOf(context) };
  for (const target of targets) {
    const { result, wasDone } = await preprocessFile(target, context, options);
    const { input, output, rejects } = target;
    summary.files.push({ input_file: input, output_file: output, rejects_file: rejects, ...result });
    if (wasDone) summary.alreadyDone.push(output);
  }
  return summary;
}

async function preprocessFile(
  { input, output, rejects, completion }: Target,
  context: PreprocessContext,
  { keep = [], limit, overwrite = false, signal, onProgress }: PreprocessOptions,
): Promise<{ result: FileStatistics; wasDone: boolean }> {
  const job = {
    input,
    outputs: [rejects, output],
    completion,
    settings: settingsOf(context, keep, limit),
    resultSchema: fileStatisticsSchema,
    overwrite,
    signal,
  };

  return makeOnce(job, async ([rejectsFile, outputFile], onLine) => {
    const statistics = collectStatistics();
    let firstReject: RejectedLine | undefined;

    for await (const line of readInput(input, { stage: 'preprocessing', limit, signal, onProgress })) {
      onLine(line.raw);
      const outcome = preprocessLine(line, context, keep);
      if ('rejected' in outcome) {
        firstReject ??= outcome.rejected;
        statistics.addReject(outcome.rejected);
        await rejectsFile!.write(`${formatJsonLine(outcome.rejected)}\n`);
      } else {
        statistics.addRecord(outcome.record, outcome.tokenCount);
        await outputFile!.write(`${formatJsonLine({ ...outcome.record, ...outcome.kept })}\n`);
      }
    }
    if (statistics.tracesOut === 0) throw noUsableLine(input, firstReject, context);
    return statistics.result();
  });
}

/** A field of the input may not take the place of one that is made here. */
function refuseReplacedFields(keep: readonly string[]): void {
  const taken = keep.find((field) => field in stepRecordSchema.shape);
  if (taken === undefined) return;
  throw new ScorerError({
    code: 'FIELD_TAKEN',
    kind: 'usage',
    what: `${taken} is a field of every step record`,
    where: '--keep',
    hint: 'rename it in the input to keep it',
  });
}

/** All that decides what a trace becomes, under the names by which a user knows it. */
function settingsOf({ tokenizer, options }: PreprocessContext, keep: readonly string[], limit: number | undefined) {
  return {
    software: softwareVersion(),
    tokenizer: tokenizer.fingerprint,
    system_prompt: options.systemPrompt,
    template_kwargs: options.templateVariables,
    think_open: options.thinkOpen,
    step_separator: options.stepSeparator,
    keep,
    limit: limit ?? null,
  };
}

function warningsOf({ stepEnds, options }: PreprocessContext): string[] {
  if (stepEnds.size > 0) return [];
  const separator = JSON.stringify(options.stepSeparator);
  return [`no token of this tokenizer holds ${separator}: every trace is one segment, without a step end`];
}

function noUsableLine(input: string, first: RejectedLine | undefined, context: PreprocessContext): ScorerError {
  const templateThinks =
    first?.code === 'NO_THINK' && context.renderPrompt(PROBE_QUESTION).trimEnd().endsWith('<think>');
  return new ScorerError({
    code: 'NO_USABLE_LINE',
    what: first ? `no line can be used; line ${first.line}: ${first.code}, ${first.reason}` : 'the file holds no line',
    where: input === STDIN ? 'stdin' : input,
    hint: templateThinks
      ? 'the chat template writes <think> itself: give --think-open optional'
      : 'each line needs question, response (with <think>), ground_truth and extracted_answer',
  });
}
