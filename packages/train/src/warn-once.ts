import type { TrainHooks } from './train.js';

/** The hooks of several runs: what all of them warn of is told once. */
export function warnOnce(hooks: TrainHooks): TrainHooks {
  const told = new Set<string>();
  return {
    ...hooks,
    onWarning(message) {
      if (told.has(message)) return;
      told.add(message);
      hooks.onWarning?.(message);
    },
  };
}
