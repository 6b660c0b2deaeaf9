import type { Architecture } from './architecture.js';
import { qwen3 } from './qwen3.js';

export type { Architecture } from './architecture.js';

/** Every supported decoder, by its class name in config.json. */
export const ARCHITECTURES: ReadonlyMap<string, Architecture> = new Map(
  [qwen3].map((architecture) => [architecture.name, architecture as Architecture]),
);
