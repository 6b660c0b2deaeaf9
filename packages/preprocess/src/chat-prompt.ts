import type { ChatMessage, ScorerTokenizer } from '@scorer/core/tokenizer';

/** The system message of the original. */
export const DEFAULT_SYSTEM_PROMPT = 'Please reason step by step, and put your final answer within \\boxed{}';

export interface ChatPromptOptions {
  /** System message; null leaves it out. */
  systemPrompt: string | null;
  /** More variables for the chat template, such as `enable_thinking`. */
  templateVariables: Readonly<Record<string, unknown>>;
}

/**
 * The chat prompt of a question: system message, question as user message, generation prompt.
 * Samples of one question mostly follow each other, so the last prompt is kept.
 */
export function createPromptRenderer(
  tokenizer: ScorerTokenizer,
  { systemPrompt, templateVariables }: ChatPromptOptions,
): (question: string) => string {
  const system: ChatMessage[] = systemPrompt === null ? [] : [{ role: 'system', content: systemPrompt }];
  let last: { question: string; prompt: string } | undefined;

  return (question) => {
    if (last?.question !== question) {
      const messages = [...system, { role: 'user', content: question }];
      last = { question, prompt: tokenizer.renderPrompt(messages, { templateVariables }) };
    }
    return last.prompt;
  };
}
