import type { Endpoint, Interval, Region } from './answer.js';
import { type Budget, spend } from './budget.js';
import { realOf } from './value.js';

/** Placing, sorting and merging one interval, in steps of the budget. */
const INTERVAL_STEPS = 10;

export const REALS: Interval = { low: '-∞', high: '+∞', lowClosed: false, highClosed: false };

/** The union of intervals: sorted, overlapping and touching ones merged, empty ones dropped, where all ends are numbers. */
export function createRegion(variable: string | undefined, intervals: readonly Interval[], budget: Budget): Region {
  spend(budget, INTERVAL_STEPS * intervals.length);
  const position = (end: Endpoint) => positionOf(end, budget);
  const placed = intervals.map((interval) => ({
    interval,
    low: position(interval.low),
    high: position(interval.high),
  }));
  if (placed.some(({ low, high }) => low === undefined || high === undefined)) {
    return { kind: 'region', variable, intervals };
  }
  const sorted = placed
    .map(({ interval, low = 0, high = 0 }) => ({ interval, low, high }))
    .filter(({ interval, low, high }) => low < high || (low === high && interval.lowClosed && interval.highClosed))
    .sort((a, b) => a.low - b.low || Number(b.interval.lowClosed) - Number(a.interval.lowClosed));
  const merged: typeof sorted = [];
  for (const next of sorted) {
    const last = merged.at(-1);
    const touches =
      last &&
      (next.low < last.high || (next.low === last.high && (next.interval.lowClosed || last.interval.highClosed)));
    if (!last || !touches) {
      merged.push(next);
      continue;
    }
    const further = next.high > last.high || (next.high === last.high && next.interval.highClosed) ? next : last;
    const { high, highClosed } = further.interval;
    merged[merged.length - 1] = { ...last, high: further.high, interval: { ...last.interval, high, highClosed } };
  }
  return { kind: 'region', variable, intervals: merged.map(({ interval }) => interval) };
}

/** The points of both, or undefined where an end is no number. */
export function intersect(a: Region, b: Region, budget: Budget): Region | undefined {
  const position = (end: Endpoint) => positionOf(end, budget);
  const pieces: Interval[] = [];
  spend(budget, a.intervals.length * b.intervals.length);
  for (const x of a.intervals) {
    for (const y of b.intervals) {
      const [lowX, lowY, highX, highY] = [position(x.low), position(y.low), position(x.high), position(y.high)];
      if (lowX === undefined || lowY === undefined || highX === undefined || highY === undefined) return undefined;
      const low = lowX > lowY || (lowX === lowY && !x.lowClosed) ? x : y;
      const high = highX < highY || (highX === highY && !x.highClosed) ? x : y;
      pieces.push({ low: low.low, lowClosed: low.lowClosed, high: high.high, highClosed: high.highClosed });
    }
  }
  return createRegion(a.variable ?? b.variable, pieces, budget);
}

/** The region without some points, or undefined where one is no number. */
export function withoutPoints(region: Region, points: readonly Endpoint[], budget: Budget): Region | undefined {
  const places = points.map((point) => ({ point, at: positionOf(point, budget) ?? Number.NaN }));
  if (places.some(({ at }) => Number.isNaN(at))) return undefined;
  places.sort((a, b) => a.at - b.at);
  const ends: Endpoint[] = ['-∞', ...places.map(({ point }) => point), '+∞'];
  const between = ends.slice(1).map((high, at): Interval => ({ ...REALS, low: ends[at] ?? '-∞', high }));
  return intersect(region, { ...region, intervals: between }, budget);
}

function positionOf(end: Endpoint, budget: Budget): number | undefined {
  if (end === '+∞') return Number.POSITIVE_INFINITY;
  if (end === '-∞') return Number.NEGATIVE_INFINITY;
  return realOf(end, budget);
}
