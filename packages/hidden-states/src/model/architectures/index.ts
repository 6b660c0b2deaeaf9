import type { Architecture } from './architecture.js';
import { llama } from './llama.js';
import { mistral } from './mistral.js';
import { phi3 } from './phi3.js';
import { qwen2 } from './qwen2.js';
import { qwen3 } from './qwen3.js';

export type { Architecture } from './architecture.js';

/** Every supported decoder, by its class name in config.json. */
export const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map(
  [llama, mistral, phi3, qwen2, qwen3].map((family) => [family.name, family as unknown as Architecture]),
);
