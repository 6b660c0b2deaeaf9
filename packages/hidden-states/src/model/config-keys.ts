import { z } from 'zod';

/**
 * Keys that transformers or others write into config.json and that the forward pass of a base model in inference does
 * not read. A key that is neither here nor in an architecture's schema is refused unless its value says "off": it may
 * be a feature that came after this list.
 */
export const HARMLESS_KEYS: ReadonlySet<string> = new Set([
  // What the file is and who wrote it. Custom code (auto_map) is never run: the architecture's name decides.
  ...['architectures', 'transformers_version', 'name_or_path', 'auto_map', 'torch_dtype', 'dtype'],
  ...['task_specific_params', 'finetuning_task', 'custom_pipelines', 'unsloth_fixed', 'unsloth_version'],
  // Training.
  ...['initializer_range', 'attention_dropout', 'resid_pdrop', 'embd_pdrop', 'hidden_dropout', 'dropout'],
  ...['pretraining_tp', 'gradient_checkpointing', 'problem_type', 'classifier_dropout'],
  // The head: `headOf` reads what tokens' confidence needs.
  ...['tie_word_embeddings', 'id2label', 'label2id', 'num_labels', 'lm_head_bias'],
  // Tokens, of which the tokenizer has its own list.
  ...['bos_token_id', 'eos_token_id', 'pad_token_id', 'unk_token_id', 'sep_token_id', 'decoder_start_token_id'],
  ...['tokenizer_class', 'prefix'],
  // What a call returns and how it is computed, not its result.
  ...['use_cache', 'output_attentions', 'output_hidden_states', 'return_dict', 'torchscript', 'attn_implementation'],
  ...['chunk_size_feed_forward', 'use_bfloat16', 'is_decoder', 'keys_to_ignore_at_inference'],
  // Generation settings, which older files keep here (transformers `GenerationConfig`).
  ...['max_length', 'min_length', 'max_new_tokens', 'do_sample', 'early_stopping', 'num_beams', 'num_beam_groups'],
  ...['diversity_penalty', 'temperature', 'top_k', 'top_p', 'typical_p', 'epsilon_cutoff', 'eta_cutoff'],
  ...['repetition_penalty', 'length_penalty', 'no_repeat_ngram_size', 'encoder_no_repeat_ngram_size'],
  ...['encoder_repetition_penalty', 'exponential_decay_length_penalty', 'bad_words_ids', 'suppress_tokens'],
  ...['begin_suppress_tokens', 'forced_bos_token_id', 'forced_eos_token_id', 'remove_invalid_values'],
  ...['num_return_sequences', 'output_scores', 'return_dict_in_generate'],
]);

/** Each is some twenty nodes of the graph, and a list has a place for it before the weights are looked at. Llama 3.1 405B has 126. */
export const MAX_LAYERS = 1024;

/** Each is a MLP in the graph, with three names of weights. Kimi K2 has 384 in a layer. */
export const MAX_EXPERTS = 4096;

/**
 * Of hidden states, MLPs, heads and how many heads there are: half a head's size is a table of frequencies, made before the
 * weights are looked at. Llama 3.1 405B has MLPs of 53,248.
 */
export const MAX_WIDTH = 2 ** 20;

/** Logits of one token at a time take 64 MiB then. Gemma 3 has 262,208 tokens. */
export const MAX_VOCABULARY = 2 ** 24;

/** Places of tokens are int32 in the graph. */
export const MAX_POSITION = 2 ** 31 - 1;

/** A count from 1. Past its limit nothing else of config.json is looked at: what checks depend on it would take memory in proportion. */
export const countUpTo = (limit: number) => z.int().positive().max(limit, { abort: true });

/** Keys of config.json that every supported family reads in the same way, with the defaults of transformers. */
export const commonKeys = {
  hidden_size: countUpTo(MAX_WIDTH),
  intermediate_size: countUpTo(MAX_WIDTH),
  num_hidden_layers: countUpTo(MAX_LAYERS),
  num_attention_heads: countUpTo(MAX_WIDTH),
  /** Null: as many as query heads. */
  num_key_value_heads: countUpTo(MAX_WIDTH).nullable(),
  vocab_size: countUpTo(MAX_VOCABULARY),
  max_position_embeddings: countUpTo(MAX_POSITION),
  rms_norm_eps: z.number().positive().default(1e-6),
  hidden_act: z.enum(['silu', 'swish']).default('silu'),
  quantization_config: z.literal(null).optional(),
  // Where it is false, or null, transformers lets tokens attend to later ones.
  is_causal: z.literal(true).optional(),
};

/** `head_dim`, where null or nothing means hidden size / heads. */
export const headSizeKey = { head_dim: countUpTo(MAX_WIDTH).nullish() };

/** Whether a value says that the feature of an unknown key is not in use. */
export function isOff(value: unknown): boolean {
  if (value === null || value === false || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
