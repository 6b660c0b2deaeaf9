import { z } from 'zod';
import { countUpTo, MAX_POSITION } from '../config-keys.js';

/** The keys by which Qwen2 and Qwen3 choose the layers with a sliding window, with the defaults of transformers. */
export const windowKeys = {
  use_sliding_window: z.boolean().nullable().default(false),
  sliding_window: countUpTo(MAX_POSITION).nullable().default(4096),
  max_window_layers: z.int().nonnegative().default(28),
  layer_types: z.array(z.enum(['full_attention', 'sliding_attention'])).nullish(),
};

type WindowConfig = z.output<z.ZodObject<typeof windowKeys>> & { num_hidden_layers: number };

/** For each layer its window: by `layer_types` where given, else the layers from `max_window_layers` on. */
export function qwenWindows(c: WindowConfig): (number | null)[] {
  const window = c.use_sliding_window ? c.sliding_window : null;
  return Array.from({ length: c.num_hidden_layers }, (_, i) => {
    const slides = c.layer_types ? c.layer_types[i] === 'sliding_attention' : i >= c.max_window_layers;
    return slides ? window : null;
  });
}

/** Whether `layer_types` names every layer, and a window where one slides. */
export function windowsAreWhole(c: WindowConfig): boolean {
  if (!c.layer_types) return true;
  const slides = c.layer_types.includes('sliding_attention');
  return c.layer_types.length === c.num_hidden_layers && (!slides || !!(c.use_sliding_window && c.sliding_window));
}
