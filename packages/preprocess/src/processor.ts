import { loadTokenizer } from '@scorer/core/tokenizer';
import { type ConvertOptions, convertLine, withDefaults } from './convert/convert-line.js';
import { type BatchOutcome, preprocessBatch } from './preprocess-batch.js';
import { type LineOptions, type LineOutcome, preprocessLine } from './preprocess-line.js';
import { createPreprocessContext, type PreprocessContext, type TraceOptions } from './preprocess-trace.js';
import type { InputLine } from './read-input.js';
import { softwareVersion } from './software-version.js';
import { probeThinking, type TemplateThinking, thinkingWarnings } from './template-thinking.js';
import { BATCH_LIMIT_MS, PROBE_LIMIT_MS, withTimeLimit } from './time-limit.js';

/** All that decides what becomes of a line. Plain data, fit for another thread. */
export interface ProcessorOptions extends TraceOptions, LineOptions {
  /** Hugging Face model folder with tokenizer and chat template, its tokenizer.json, or the id of a hub model. */
  tokenizerPath: string;
  /** Lines are rows of a data set with step labels, not raw traces. */
  convert?: ConvertOptions | undefined;
}

/** Turns batches of lines into output, in this thread or in others. */
export interface Processor {
  readonly description: ProcessorDescription;
  /** How many batches may be asked for before the first is done. */
  readonly capacity: number;
  process(batch: readonly InputLine[]): Promise<BatchOutcome>;
  close(): Promise<void>;
}

export interface ProcessorDescription {
  /** All that decides the outputs beside the input, under the names by which a user knows it. */
  settings: Readonly<Record<string, unknown>>;
  thinking: TemplateThinking;
  warnings: string[];
}

/** Llama 3.2 and others take the date from `date_string`, where it is given. */
const DATED_PROMPTS =
  'the chat template may write today\'s date: on another day the prompts differ; where it takes one, fix it with --template-kwargs \'{"date_string": "26 Jul 2024"}\'';

/**
 * A processor in this thread.
 * @throws ScorerError `TOKENIZER_NOT_FOUND`, `TOKENIZER_INVALID`, `CHAT_TEMPLATE_MISSING`, `CHAT_TEMPLATE_FAILED`
 */
export async function openProcessor(options: ProcessorOptions): Promise<Processor> {
  const context = createPreprocessContext(await loadTokenizer(options.tokenizerPath), options);
  const outcomesOf = outcomesWith(context, options);
  return {
    description: describe(context, options),
    capacity: 1,
    process: async (batch) => {
      const what = `the work on lines ${batch[0]?.line} to ${batch.at(-1)?.line}`;
      return withTimeLimit(() => preprocessBatch(batch, outcomesOf), { ms: BATCH_LIMIT_MS, what });
    },
    close: async () => {},
  };
}

/** What becomes of a line: of a raw trace, or of a row that may hold several. */
function outcomesWith(
  context: PreprocessContext,
  options: ProcessorOptions,
): (line: InputLine) => readonly LineOutcome[] {
  const { convert, keep = [] } = options;
  if (!convert) return (line) => [preprocessLine(line, context, options)];
  const rowOptions = { ...withDefaults(convert), keep };
  return (line) => convertLine(line, context, rowOptions);
}

function describe(
  context: PreprocessContext,
  { keep, isCorrectField, convert }: ProcessorOptions,
): ProcessorDescription {
  const { tokenizer, options, stepEndCount } = context;
  const thinking = withTimeLimit(() => probeThinking(context), { ms: PROBE_LIMIT_MS, what: 'the chat template' });
  const separator = JSON.stringify(options.stepSeparator);
  const isDated = tokenizer.datesPrompts && !('date_string' in options.templateVariables);
  const noSteps = `no token of this tokenizer holds ${separator}: every trace is one segment, without a step end`;
  return {
    settings: {
      software: softwareVersion(),
      tokenizer: tokenizer.fingerprint,
      system_prompt: options.systemPrompt,
      template_kwargs: options.templateVariables,
      think_tags: options.thinkTags,
      think_open: options.thinkOpen,
      step_separator: options.stepSeparator,
      max_tokens: options.maxTokens,
      answer_from_response: options.answerFromResponse,
      grader: options.grader,
      is_correct_field: isCorrectField ?? null,
      keep: keep ?? [],
      ...(convert && withDefaults(convert)),
    },
    thinking,
    warnings: [
      ...(stepEndCount === 0 && !convert ? [noSteps] : []),
      ...(isDated ? [DATED_PROMPTS] : []),
      ...(convert ? [] : thinkingWarnings(thinking, context)),
    ],
  };
}
