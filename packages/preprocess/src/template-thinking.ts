import type { PreprocessContext } from './preprocess-trace.js';

/**
 * What the prompt does about the reasoning before the model writes its first token: `opened` by a template that writes
 * the opening tag itself (DeepSeek-R1, Qwen3-Thinking), so that responses lack it; `closed` by one that writes both
 * tags (Qwen3 with `enable_thinking: false`), so that there is none; `left` to the model by all others.
 */
export type TemplateThinking = 'opened' | 'closed' | 'left';

/** A question without any tag, for which a template that works at all renders. */
const PROBE_QUESTION = 'What is 1 + 1?';

/**
 * Renders one prompt to see what the template does.
 * @throws ScorerError `CHAT_TEMPLATE_MISSING`, `CHAT_TEMPLATE_FAILED`: a template that refuses every question is an
 *   error of the call, not of a hundred thousand lines
 */
export function probeThinking({ renderPrompt, options: { thinkTags } }: PreprocessContext): TemplateThinking {
  const prompt = renderPrompt(PROBE_QUESTION);
  const afterQuestion = prompt.slice(prompt.lastIndexOf(PROBE_QUESTION));
  const opened = afterQuestion.lastIndexOf(thinkTags.open);
  if (opened === -1) return 'left';
  return afterQuestion.includes(thinkTags.close, opened) ? 'closed' : 'opened';
}

/** What a user should know of it before the run, if anything. */
export function thinkingWarnings(thinking: TemplateThinking, { options }: PreprocessContext): string[] {
  const { thinkTags, thinkOpen } = options;
  if (thinkOpen === 'optional' || thinking === 'left') return [];
  const tag = thinkTags.open;
  return thinking === 'opened'
    ? [
        `the chat template ends the prompt with ${tag}, so the model's responses begin inside it: those without ${tag} of their own are refused (NO_THINK); --think-open optional takes them`,
      ]
    : [
        `the chat template ends the prompt with an empty ${tag}${thinkTags.close}: responses without ${tag} are refused (NO_THINK); for reasoning turn it on with --template-kwargs, or take them with --think-open optional`,
      ];
}
