import type { Architecture } from './architecture.js';
import { llama } from './llama.js';
import { mistral } from './mistral.js';
import { phi3 } from './phi3.js';
import { qwen2 } from './qwen2.js';
import { qwen3 } from './qwen3.js';
import { qwen3Moe } from './qwen3-moe.js';

export type { Architecture } from './architecture.js';

const FAMILIES = [llama, mistral, phi3, qwen2, qwen3, qwen3Moe] as unknown as readonly Architecture[];

/** Class names in config.json of the supported decoders. */
export const ARCHITECTURE_NAMES: readonly string[] = FAMILIES.map(({ name }) => name);

/** The family of a class in config.json: of a model with its head, `Qwen3ForCausalLM`, or of one without, `Qwen3Model`. */
export function architectureOf(className: string): Architecture | undefined {
  return FAMILIES.find(({ name }) => name === className || name.replace('ForCausalLM', 'Model') === className);
}
