import { Template } from '@huggingface/jinja';
import { ScorerError } from '../errors/index.js';
import type { TokenizerFiles } from './tokenizer-files.js';

export interface ChatMessage {
  role: string;
  content: string;
}

export type ChatRenderer = (messages: readonly ChatMessage[], variables: Readonly<Record<string, unknown>>) => string;

/** The special tokens that transformers hands to a template, where the model has them. */
const NAMED_TOKENS = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
] as const;

/**
 * The model's chat template as a function, with the variables that transformers' `apply_chat_template` gives it.
 * The template is compiled at the first call, so a model without one can still tokenize.
 */
export function createChatRenderer({ folder, chatTemplate, config }: TokenizerFiles): ChatRenderer {
  const specialTokens = Object.fromEntries(
    NAMED_TOKENS.flatMap((name) => (typeof config[name] === 'string' ? [[name, config[name]]] : [])),
  );
  let compiled: Template | undefined;

  return (messages, variables) => {
    if (chatTemplate === undefined) {
      throw new ScorerError({
        code: 'CHAT_TEMPLATE_MISSING',
        what: 'the model has no chat template',
        where: folder,
        hint: 'take the instruction-tuned model, or put a chat_template.jinja into the folder',
      });
    }
    try {
      compiled ??= new Template(chatTemplate);
      return compiled.render({
        ...specialTokens,
        ...variables,
        messages,
        tools: null,
        documents: null,
        add_generation_prompt: true,
      });
    } catch (error) {
      throw new ScorerError({
        code: 'CHAT_TEMPLATE_FAILED',
        what: `the chat template refuses the messages: ${error instanceof Error ? error.message : String(error)}`,
        where: folder,
        hint: 'some templates take no system message, or need variables of their own',
        cause: error,
      });
    }
  };
}
