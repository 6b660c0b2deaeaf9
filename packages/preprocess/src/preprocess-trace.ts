import { ScorerError } from '@scorer/core/errors';
import { grade } from '@scorer/core/grading';
import type { StepRecord, Trace } from '@scorer/core/schema';
import type { ScorerTokenizer } from '@scorer/core/tokenizer';
import { createPromptRenderer, DEFAULT_SYSTEM_PROMPT } from './chat-prompt.js';
import type { Reject } from './reject.js';
import { splitSteps } from './step-splitter.js';

export interface TraceOptions {
  /** `DEFAULT_SYSTEM_PROMPT` by default; null for none. */
  systemPrompt?: string | null | undefined;
  /** Variables for the chat template, such as `{enable_thinking: true}`. */
  templateVariables?: Readonly<Record<string, unknown>> | undefined;
  /** `optional` takes responses without `<think>`, for templates that write it themselves. Default `required`. */
  thinkOpen?: 'required' | 'optional' | undefined;
  /** A token whose text holds this ends a step. `DEFAULT_STEP_SEPARATOR` by default. */
  stepSeparator?: string | undefined;
}

/** What all traces have in common. */
export interface PreprocessContext {
  tokenizer: ScorerTokenizer;
  /** The options, defaults filled in. */
  options: { readonly [Name in keyof TraceOptions]-?: Exclude<TraceOptions[Name], undefined> };
  /** Chat prompt of a question. */
  renderPrompt(question: string): string;
  /** Ids of the tokens that end a step. */
  stepEnds: ReadonlySet<number>;
}

export type TraceOutcome = { record: StepRecord; tokenCount: number } | { reject: Reject };

/** A blank line ends a step. */
export const DEFAULT_STEP_SEPARATOR = '\n\n';

const THINK_OPEN = '<think>';
const THINK_CLOSE = '</think>';

/** What `preprocessTrace` needs beside the trace; make it once for all traces of a model. */
export function createPreprocessContext(tokenizer: ScorerTokenizer, given: TraceOptions = {}): PreprocessContext {
  const options = {
    systemPrompt: given.systemPrompt === undefined ? DEFAULT_SYSTEM_PROMPT : given.systemPrompt,
    templateVariables: given.templateVariables ?? {},
    thinkOpen: given.thinkOpen ?? 'required',
    stepSeparator: given.stepSeparator ?? DEFAULT_STEP_SEPARATOR,
  };
  return {
    tokenizer,
    options,
    renderPrompt: createPromptRenderer(tokenizer, options),
    stepEnds: tokenizer.tokensWith(options.stepSeparator),
  };
}

/**
 * One trace as a step record: prompt rendered, answer graded, thinking cut out, split into steps.
 * The checks come in the order of the original; the first that fails rejects the trace.
 */
export function preprocessTrace(trace: Trace, context: PreprocessContext): TraceOutcome {
  const { question, response, ground_truth, extracted_answer } = trace;

  const prompt = promptOf(question, context);
  if (typeof prompt !== 'string') return { reject: prompt };
  if (extracted_answer === null) {
    return { reject: { code: 'NO_ANSWER', reason: 'extracted_answer is null or missing' } };
  }
  const { equal: is_correct } = grade(extracted_answer, ground_truth);
  if (context.options.thinkOpen === 'required' && !response.includes(THINK_OPEN)) {
    return { reject: { code: 'NO_THINK', reason: `the response has no ${THINK_OPEN}` } };
  }
  const forward_text = response.split(THINK_CLOSE, 1)[0]!;
  const steps = splitSteps(prompt + forward_text, context.tokenizer, context.stepEnds);
  if (!steps) {
    return {
      reject: { code: 'SEGMENTS_MISMATCH', reason: 'the decoded segments do not join to prompt + forward_text' },
    };
  }

  // The order of the keys is part of the format.
  const record: StepRecord = {
    prompt,
    question,
    ground_truth,
    extracted_answer,
    full_text: response,
    is_correct,
    forward_text,
    segmented_text_list: steps.segments,
    extracted_position: steps.positions,
  };
  return { record, tokenCount: steps.tokenCount };
}

/** A template may refuse a single question; that it works at all was seen before the first line. */
function promptOf(question: string, context: PreprocessContext): string | Reject {
  try {
    return context.renderPrompt(question);
  } catch (error) {
    if (!(error instanceof ScorerError && error.cause instanceof Error)) throw error;
    return { code: 'TEMPLATE_REFUSED', reason: error.cause.message };
  }
}
