import { ScorerError } from '@scorer/core/errors';
import type { StepRecord, Trace } from '@scorer/core/schema';
import type { ScorerTokenizer } from '@scorer/core/tokenizer';
import { lastBoxedAnswer } from './boxed-answer.js';
import { createPromptRenderer, DEFAULT_SYSTEM_PROMPT } from './chat-prompt.js';
import { GRADING, type Grader } from './grader.js';
import type { Reject } from './reject.js';
import { createStepSplitter, type StepSplitter } from './step-splitter.js';

export interface TraceOptions {
  /** `DEFAULT_SYSTEM_PROMPT` by default; null for none. */
  systemPrompt?: string | null | undefined;
  /** Variables for the chat template, such as `{enable_thinking: true}`. */
  templateVariables?: Readonly<Record<string, unknown>> | undefined;
  /** What the model writes around its reasoning. `DEFAULT_THINK_TAGS` by default. */
  thinkTags?: ThinkTags | undefined;
  /** `optional` takes responses without the opening tag, for templates that write it themselves. Default `required`. */
  thinkOpen?: 'required' | 'optional' | undefined;
  /** A token whose text holds this ends a step. `DEFAULT_STEP_SEPARATOR` by default. */
  stepSeparator?: string | undefined;
  /** Traces with more tokens in prompt and forward text are rejected; null, the default, for no limit. */
  maxTokens?: number | null | undefined;
  /** Takes the last `\boxed{…}` of the response where `extracted_answer` is missing. Default false. */
  answerFromResponse?: boolean | undefined;
  /** Default `ours`. */
  grader?: Grader | undefined;
}

export interface ThinkTags {
  open: string;
  close: string;
}

/** A trace, and its label where that is known and need not be graded. */
export type LabelledTrace = Trace & { is_correct?: boolean | undefined };

/** What all traces have in common. */
export interface PreprocessContext {
  tokenizer: ScorerTokenizer;
  /** The options, defaults filled in. */
  options: { readonly [Name in keyof TraceOptions]-?: Exclude<TraceOptions[Name], undefined> };
  /** Chat prompt of a question. */
  renderPrompt(question: string): string;
  splitSteps: StepSplitter;
  /** How many different tokens end a step. */
  stepEndCount: number;
}

export type TraceOutcome = { record: StepRecord; tokenCount: number } | { reject: Reject };

/** A blank line ends a step. */
export const DEFAULT_STEP_SEPARATOR = '\n\n';

export const DEFAULT_THINK_TAGS: ThinkTags = { open: '<think>', close: '</think>' };

/** What `preprocessTrace` needs beside the trace; make it once for all traces of a model. */
export function createPreprocessContext(tokenizer: ScorerTokenizer, given: TraceOptions = {}): PreprocessContext {
  const options = {
    systemPrompt: given.systemPrompt === undefined ? DEFAULT_SYSTEM_PROMPT : given.systemPrompt,
    templateVariables: given.templateVariables ?? {},
    thinkTags: given.thinkTags ?? DEFAULT_THINK_TAGS,
    thinkOpen: given.thinkOpen ?? 'required',
    stepSeparator: given.stepSeparator ?? DEFAULT_STEP_SEPARATOR,
    maxTokens: given.maxTokens ?? null,
    answerFromResponse: given.answerFromResponse ?? false,
    grader: given.grader ?? 'ours',
  };
  return {
    tokenizer,
    options,
    renderPrompt: createPromptRenderer(tokenizer, options),
    splitSteps: createStepSplitter(tokenizer, options.stepSeparator),
    stepEndCount: tokenizer.tokensWith(options.stepSeparator).size,
  };
}

/**
 * One trace as a step record: prompt rendered, answer graded, thinking cut out, split into steps.
 * The checks come in the order of the original; the first that fails rejects the trace.
 */
export function preprocessTrace(trace: LabelledTrace, context: PreprocessContext): TraceOutcome {
  const { question, response, ground_truth } = trace;
  const { thinkTags, thinkOpen, maxTokens, answerFromResponse, grader } = context.options;

  const prompt = promptOf(question, context);
  if (typeof prompt !== 'string') return { reject: prompt };

  const extracted_answer = trace.extracted_answer ?? (answerFromResponse ? lastBoxedAnswer(response) : undefined);
  if (extracted_answer === undefined) {
    const nowhereElse = answerFromResponse ? ', and the response has no \\boxed{…}' : '';
    return { reject: { code: 'NO_ANSWER', reason: `extracted_answer is null or missing${nowhereElse}` } };
  }
  const is_correct = trace.is_correct ?? GRADING[grader](extracted_answer, ground_truth).equal;

  if (thinkOpen === 'required' && !response.includes(thinkTags.open)) {
    return { reject: { code: 'NO_THINK', reason: `the response has no ${thinkTags.open}` } };
  }
  const forward_text = response.split(thinkTags.close, 1)[0]!;
  const steps = context.splitSteps(prompt + forward_text);
  if (!steps) {
    return {
      reject: { code: 'SEGMENTS_MISMATCH', reason: 'the decoded segments do not join to prompt + forward_text' },
    };
  }
  if (maxTokens !== null && steps.tokenCount > maxTokens) {
    return { reject: { code: 'TOO_MANY_TOKENS', reason: `${steps.tokenCount} tokens, ${maxTokens} are allowed` } };
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
export function promptOf(question: string, context: PreprocessContext): string | Reject {
  try {
    return context.renderPrompt(question);
  } catch (error) {
    if (!(error instanceof ScorerError && error.cause instanceof Error)) throw error;
    return { code: 'TEMPLATE_REFUSED', reason: error.cause.message };
  }
}
