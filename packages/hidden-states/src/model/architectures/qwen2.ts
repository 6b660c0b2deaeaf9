import { z } from 'zod';
import { commonKeys, headSizeKey } from '../config-keys.js';
import { ropeKeys, rotaryOf } from '../rope.js';
import type { Architecture } from './architecture.js';
import { headSize, llamaTensors, sizes } from './llama-like.js';
import { qwenWindows, windowKeys, windowsAreWhole } from './qwen-windows.js';

const config = z
  .object({
    model_type: z.literal('qwen2').optional(),
    ...commonKeys,
    ...headSizeKey,
    ...ropeKeys(),
    ...windowKeys,
  })
  .refine(windowsAreWhole, { path: ['layer_types'], message: 'does not fit the number of layers or the window' });

/** Qwen2, Qwen2.5 and what was distilled into them (arXiv 2407.10671; transformers `modeling_qwen2.py`). */
export const qwen2: Architecture<typeof config> = {
  name: 'Qwen2ForCausalLM',
  config,
  spec: (c) => ({
    ...sizes(c),
    headSize: headSize(c),
    queryKeyNorm: false,
    bias: { queryKeyValue: true, attentionOutput: false, mlp: false },
    attentionWindows: qwenWindows(c),
    rotary: rotaryOf(c, headSize(c)),
  }),
  tensors: llamaTensors(),
};
