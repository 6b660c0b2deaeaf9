import { type FinalNorm, normalised } from '../import/final-norm.js';
import { distance } from './distance.js';

/** What a stored row is, where it is not what it should be. */
export interface Finding {
  readonly kind: 'position' | 'step' | 'layer' | 'norm' | 'trace' | 'precision' | 'unknown';
  /** In words, equal for equal faults. */
  readonly detail: string;
}

/** States of one trace that a row of it may be taken for: layer → position → row [D]. */
export type TraceMap = ReadonlyMap<number, ReadonlyMap<number, Float32Array>>;

export interface StoredRow {
  /** [D] */
  readonly values: Float32Array;
  /** The same bits as the other 16-bit type; undefined for float32. */
  readonly reinterpreted: Float32Array | undefined;
  readonly layer: number;
  readonly position: number;
}

/** Shifts that are looked for, in tokens to each side. */
export const NEAR_TOKENS = 2;

/** Another explanation must be so much nearer than the claimed one. */
export const CLEARLY_NEARER = 0.5;

/** The nearest by a measure without sorting are measured again. */
const SHORT_LIST = 16;

/**
 * The row's place among a trace's states, if one explains it clearly better than the claimed one: another layer, another
 * token, without the final norm or with it, bits of another type, or some of these together.
 * @param claimed distance from what it should be
 * @param steps positions of the trace's step ends
 */
export function explain(
  stored: StoredRow,
  claimed: number,
  trace: TraceMap,
  { norm, lastLayer, steps }: { norm: FinalNorm; lastLayer: number; steps: ReadonlySet<number> },
): Explanation | undefined {
  const { values, reinterpreted, position } = stored;
  const withNorm = normalised(values, norm);
  const hypotheses: Hypothesis[] = [];
  const consider = (row: Float32Array, expected: Float32Array, finding: Finding): void => {
    hypotheses.push({ row, expected, finding, nearness: meanDistance(row, expected) });
  };

  for (const [otherLayer, rows] of trace) {
    for (const [otherPosition, expected] of rows) {
      if (Math.abs(otherPosition - position) > NEAR_TOKENS && !steps.has(otherPosition)) continue;
      const place = placeOf({ layer: otherLayer, position: otherPosition }, stored);
      const also = place ? `, ${place.detail}` : '';
      if (place) consider(values, expected, place);
      if (otherLayer === lastLayer) {
        consider(withNorm, expected, { kind: 'norm', detail: `before the final norm${also}` });
        consider(values, normalised(expected, norm), { kind: 'norm', detail: `after the final norm twice${also}` });
      } else {
        const kind = place?.kind ?? 'norm';
        consider(values, normalised(expected, norm), { kind, detail: `after a final norm${also}` });
      }
      if (reinterpreted) {
        consider(reinterpreted, expected, { kind: 'precision', detail: `bits of another 16-bit type${also}` });
      }
    }
  }
  hypotheses.sort((a, b) => a.nearness - b.nearness);
  let best: Explanation | undefined;
  for (const { row, expected, finding } of hypotheses.slice(0, SHORT_LIST)) {
    const d = distance(row, expected);
    if (d < (best?.distance ?? Number.POSITIVE_INFINITY)) best = { distance: d, finding };
  }
  return best && best.distance < CLEARLY_NEARER * claimed ? best : undefined;

  function placeOf(found: { layer: number; position: number }, { layer, position }: StoredRow): Finding | undefined {
    const shift = found.position - position;
    const tokens = `${shift > 0 ? '+' : '-'}${Math.abs(shift)} token${Math.abs(shift) === 1 ? '' : 's'}`;
    const isNear = Math.abs(shift) <= NEAR_TOKENS;
    const where = isNear ? `shifted by ${tokens}` : 'of another step of the trace';
    if (found.layer !== layer)
      return { kind: 'layer', detail: `of layer ${found.layer}${shift === 0 ? '' : `, ${where}`}` };
    if (shift === 0) return undefined;
    return { kind: isNear ? 'position' : 'step', detail: where };
  }
}

export interface Explanation {
  readonly finding: Finding;
  /** Of the row from what it would be then. */
  readonly distance: number;
}

interface Hypothesis {
  readonly row: Float32Array;
  readonly expected: Float32Array;
  readonly finding: Finding;
  readonly nearness: number;
}

/** Σ|a − b| / Σ|b|; Infinity where a value is not finite. */
export function meanDistance(row: Float32Array, expected: Float32Array): number {
  let [difference, size] = [0, 0];
  for (let d = 0; d < expected.length; d++) {
    difference += Math.abs(row[d]! - expected[d]!);
    size += Math.abs(expected[d]!);
  }
  const ratio = difference / Math.max(size, Number.MIN_VALUE);
  return Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio;
}
