import { ScorerError } from '@scorer/core/errors';

/**
 * The layers that a `--layers` text names, ascending, by number as in transformers' `hidden_states`: 0 = embeddings,
 * k = after layer k, `layerCount` = after the final norm; negative numbers count from the end.
 * @param text `last`, `all`, or numbers with commas: `3,7,-1`
 * @throws ScorerError `BAD_LAYERS` (usage)
 */
export function parseLayers(text: string, layerCount: number): number[] {
  if (text === 'last') return [layerCount];
  if (text === 'all') return Array.from({ length: layerCount + 1 }, (_, layer) => layer);
  const layers = text.split(',').map((part) => {
    const number = /^\s*-?\d+\s*$/.test(part) ? Number(part) : Number.NaN;
    const layer = number < 0 ? layerCount + 1 + number : number;
    if (layer >= 0 && layer <= layerCount) return layer;
    throw new ScorerError({
      code: 'BAD_LAYERS',
      kind: 'usage',
      what: `"${part}" is no layer of this model`,
      where: '--layers',
      hint: `layers are 0 to ${layerCount}, or -${layerCount + 1} to -1, or last, or all`,
    });
  });
  return [...new Set(layers)].sort((a, b) => a - b);
}
