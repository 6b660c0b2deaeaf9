import type { Hash } from 'node:crypto';
import type { OnProgress } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { resolveModelFolder } from '@scorer/core/hub';
import { stepRecordSchema } from '@scorer/core/schema';
import { TOKENIZER_FILES } from '@scorer/core/tokenizer';
import type { ConvertOptions } from './convert/convert-line.js';
import { expandInputs } from './input-files.js';
import { makeOnce } from './make-once.js';
import { mapInOrder } from './map-in-order.js';
import { openPartialOutputs, type PartialOutputs } from './partial-outputs.js';
import type { RejectFacts } from './preprocess-batch.js';
import { openProcessor, type Processor, type ProcessorOptions } from './processor.js';
import { openProcessorPool } from './processor-pool.js';
import { type InputLine, lineProgress, readBatches, STDIN } from './read-input.js';
import { collectStatistics, type FileStatistics, fileStatisticsSchema } from './statistics.js';
import { planTargets, type Target } from './targets.js';

export interface PreprocessOptions extends ProcessorOptions {
  /** JSONL files of raw traces, also .gz and .zst, or patterns such as `raw/*.jsonl`; `-` is stdin. */
  inputFiles: readonly string[];
  /** Folder for `<basename>.jsonl` and `<basename>.rejects.jsonl`; made where it is missing. */
  outputDir: string;
  /** Of a hub model: branch, tag or commit; `main` by default. */
  revision?: string | undefined;
  /** Reads no more than so many lines of each file. */
  limit?: number | undefined;
  /** Threads that share the work; 1, the default, is this thread alone. The outputs are the same for any number. */
  workers?: number | undefined;
  /** Counts only: writes nothing, and takes no notice of outputs that exist. */
  dryRun?: boolean | undefined;
  /** What happens to outputs that exist and were made otherwise: `refuse` by default; `replace` makes all anew. */
  overwrite?: 'refuse' | 'replace' | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: OnProgress | undefined;
  /** Called before the first line with what a user should know of model and options. */
  onWarning?: ((warning: string) => void) | undefined;
}

export interface PreprocessedFile extends FileStatistics {
  input_file: string;
  /** Not written in a dry run. */
  output_file: string;
  rejects_file: string;
}

export interface PreprocessSummary {
  files: PreprocessedFile[];
  /** Output files that an earlier run had finished. */
  alreadyDone: string[];
  /** What an earlier run had done of the others. */
  resumed: Done;
}

interface Done {
  /** Lines that are not blank. */
  traces: number;
  tokens: number;
}

/**
 * Turns files of raw traces into files of step records, in order. The outputs of a file appear together when it is
 * done; a line that can't be used goes to its rejects file.
 * @throws ScorerError `TOKENIZER_NOT_FOUND`, `TOKENIZER_INVALID`, `CHAT_TEMPLATE_MISSING`, `CHAT_TEMPLATE_FAILED`,
 *   `FILE_NOT_FOUND`, `NO_MATCH`, `SAME_OUTPUT`, `OUTPUT_IS_INPUT`, `OUTPUT_EXISTS`, `FIELD_TAKEN`, `NO_USABLE_LINE`,
 *   for hub models those of `resolveModelFolder`, and what the disk says
 */
export async function preprocessFiles(options: PreprocessOptions): Promise<PreprocessSummary> {
  const targets = await planTargets(await expandInputs(options.inputFiles), options.outputDir);
  refuseReplacedFields(options.keep ?? [], options.convert);
  const { revision, signal, onProgress, onWarning } = options;
  const files = TOKENIZER_FILES;
  const tokenizerPath = await resolveModelFolder(options.tokenizerPath, { files, revision, signal, onProgress });
  const processor = await openAnyProcessor({ ...options, tokenizerPath });
  try {
    for (const warning of processor.description.warnings) onWarning?.(warning);
    const summary: PreprocessSummary = { files: [], alreadyDone: [], resumed: { traces: 0, tokens: 0 } };
    for (const target of targets) {
      const { result, wasDone, resumed } = await preprocessFile(target, processor, options);
      summary.resumed.traces += resumed.traces;
      summary.resumed.tokens += resumed.tokens;
      const { input, output, rejects } = target;
      summary.files.push({ input_file: input, output_file: output, rejects_file: rejects, ...result });
      if (wasDone) summary.alreadyDone.push(output);
    }
    return summary;
  } finally {
    await processor.close();
  }
}

/** Functions and signals can't go to another thread; the rest are plain data. */
function openAnyProcessor(given: PreprocessOptions) {
  const { workers = 1, signal, onProgress: _onProgress, onWarning: _onWarning, ...options } = given;
  return workers > 1 ? openProcessorPool(options, { threads: workers, signal }) : openProcessor(options);
}

async function preprocessFile(
  target: Target,
  processor: Processor,
  options: PreprocessOptions,
): Promise<{ result: FileStatistics; wasDone: boolean; resumed: Done }> {
  const { input, output, rejects, completion } = target;
  const { limit, dryRun = false, overwrite = 'refuse', signal } = options;
  let resumed: Done = { traces: 0, tokens: 0 };
  if (dryRun) return { result: await preprocessLines(input, processor, undefined, options), wasDone: false, resumed };

  const settings = { ...processor.description.settings, limit: limit ?? null };
  const done = await makeOnce(
    { input, outputs: [rejects, output], completion, settings, resultSchema: fileStatisticsSchema, overwrite, signal },
    (inputDigest) => openPartialOutputs({ rejects, output }, { input: inputDigest, settings }),
    (outputs, linesRead) => {
      resumed = countDone(outputs);
      return preprocessLines(input, processor, { outputs, linesRead }, options);
    },
  );
  return { ...done, resumed };
}

function countDone({ finished }: PartialOutputs): Done {
  const { recordFacts = [], rejectFacts = [] } = finished ?? {};
  return {
    traces: recordFacts.length + rejectFacts.length,
    tokens: recordFacts.reduce((sum, { tokens }) => sum + tokens, 0),
  };
}

/** The main path: lines in batches, batches to the processor, what it makes of them to the outputs, in order. */
async function preprocessLines(
  input: string,
  processor: Processor,
  sink: { outputs: PartialOutputs; linesRead: Hash } | undefined,
  { limit, convert, signal, onProgress }: PreprocessOptions,
): Promise<FileStatistics> {
  const statistics = collectStatistics();
  const showProgress = await lineProgress(input, {
    stage: convert ? 'converting' : 'preprocessing',
    limit,
    onProgress,
  });
  const markRead = ({ raw }: InputLine): void => void sink?.linesRead.update(raw).update('\n');
  const finished = sink?.outputs.finished;
  if (finished) statistics.add(finished);

  const batches = readBatches(input, { limit, after: finished?.line, onPassed: markRead, signal });
  const outcomes = mapInOrder(verified(batches), { ahead: processor.capacity }, async (batch) => ({
    batch,
    outcome: await processor.process(batch),
  }));
  for await (const { batch, outcome } of outcomes) {
    batch.forEach(markRead);
    statistics.add(outcome);
    const { line } = batch.at(-1)!;
    if (sink) await sink.outputs.append(outcome, { line, digest: sink.linesRead.copy().digest('hex') });
    showProgress(line);
  }
  if (statistics.tracesOut === 0) throw noUsableLine(input, statistics.firstReject, processor, convert);
  return statistics.result();

  /** A pipe may hold other lines than at the run that is gone on with: that shows when they are passed over. */
  async function* verified(source: typeof batches): typeof batches {
    const first = await source.next();
    if (finished && sink?.linesRead.copy().digest('hex') !== finished.digest) throw otherPipe(input);
    if (!first.done) yield first.value;
    yield* source;
  }
}

/** A field of the input may not take the place of one that is made here; raw traces may bring labels of their steps. */
function refuseReplacedFields(keep: readonly string[], convert: ConvertOptions | undefined): void {
  const { step_labels: _, ...made } = stepRecordSchema.shape;
  const taken = keep.find((field) => field in (convert ? stepRecordSchema.shape : made));
  if (taken === undefined) return;
  throw new ScorerError({
    code: 'FIELD_TAKEN',
    kind: 'usage',
    what: `${taken} is a field of every step record`,
    where: '--keep',
    hint: 'rename it in the input to keep it',
  });
}

function otherPipe(input: string): ScorerError {
  return new ScorerError({
    code: 'INPUT_CHANGED',
    what: 'an unfinished output was begun from other lines; it is removed',
    where: input === STDIN ? 'stdin' : input,
    hint: 'run the command again',
  });
}

function noUsableLine(
  input: string,
  first: RejectFacts | undefined,
  { description }: Processor,
  convert: ConvertOptions | undefined,
): ScorerError {
  return new ScorerError({
    code: 'NO_USABLE_LINE',
    what: first ? `no line can be used; line ${first.line}: ${first.code}, ${first.reason}` : 'the file holds no line',
    where: input === STDIN ? 'stdin' : input,
    hint: hintFor(first, description, convert),
  });
}

function hintFor(
  first: RejectFacts | undefined,
  { thinking }: Processor['description'],
  convert: ConvertOptions | undefined,
): string {
  switch (first?.code) {
    case 'NOT_JSON':
    case 'NOT_AN_OBJECT':
      return "one JSON object a line is read; of a file with one JSON array make them with: jq -c '.[]' FILE";
    case 'NO_ANSWER':
      return 'give --answer-from-response where the answer is in a \\boxed{…}';
    case 'NO_THINK':
      return thinking === 'left'
        ? 'put <think>…</think> around the reasoning, or name other marks with --think-tags'
        : 'the chat template writes <think> itself: give --think-open optional';
    default:
      return convert
        ? `each line needs to be a row of ${convert.from}: see --from`
        : 'each line needs question, response (with <think>), ground_truth and extracted_answer';
  }
}
