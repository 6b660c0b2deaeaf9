import { MEASURES, type Measure, PARTS, type TraceConfidence } from './confidence.js';
import { growingArray } from './growing-array.js';

/** How sure the model was of the traces of a table, N of them with S steps in all; NaN where nothing is known. */
export interface ConfidenceColumns {
  /** [N] of each measure. */
  readonly whole: MeasureColumns;
  /** The same of the first part of each trace's steps. */
  readonly parts: Readonly<Record<(typeof PARTS)[number], MeasureColumns>>;
  /** [S]: the lowest of the groups that end in the step. */
  readonly stepGroups: Float64Array;
}

type MeasureColumns = Readonly<Record<Measure, Float64Array>>;

const PLACES = ['whole', ...PARTS] as const;
const ROW_LENGTH = PLACES.length * MEASURES.length;

/** Collects confidences trace by trace; memory is taken from the first trace that has one. */
export function collectConfidences() {
  const rows = growingArray(Float64Array);
  const stepGroups = growingArray(Float64Array);
  let traces = 0;
  let steps = 0;

  return {
    add(confidence: TraceConfidence | undefined, stepCount: number): void {
      if (confidence) {
        rows.fillTo(traces * ROW_LENGTH, Number.NaN);
        stepGroups.fillTo(steps, Number.NaN);
        const { by_fraction = {}, step_groups = [] } = confidence;
        const places = [confidence, ...PARTS.map((part) => by_fraction[part])];
        rows.append(places.flatMap((measures) => MEASURES.map((measure) => measures?.[measure] ?? Number.NaN)));
        stepGroups.append(step_groups.map((group) => group ?? Number.NaN));
      }
      traces += 1;
      steps += stepCount;
    },

    /**
     * Undefined where no trace had one.
     * @param order [N]: which of the traces stands at each place
     */
    columns(order: Uint32Array, reorderSteps: (values: Float64Array) => Float64Array): ConfidenceColumns | undefined {
      if (rows.length === 0) return undefined;
      rows.fillTo(traces * ROW_LENGTH, Number.NaN);
      stepGroups.fillTo(steps, Number.NaN);
      const values = rows.view();
      const columnsOf = (place: (typeof PLACES)[number]): MeasureColumns => {
        const first = PLACES.indexOf(place) * MEASURES.length;
        const columns = MEASURES.map((measure, m) => [
          measure,
          Float64Array.from(order, (trace) => values[trace * ROW_LENGTH + first + m]!),
        ]);
        return Object.fromEntries(columns);
      };
      return {
        whole: columnsOf('whole'),
        parts: Object.fromEntries(PARTS.map((part) => [part, columnsOf(part)])) as ConfidenceColumns['parts'],
        stepGroups: reorderSteps(stepGroups.view()),
      };
    },
  };
}
