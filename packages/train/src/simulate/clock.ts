/**
 * How long generation takes: while b traces run, each gains a token in max(1 / stream, b / batch) seconds. So a few
 * traces run at the speed of one, which the memory's bandwidth sets, and many share what the machine can compute.
 */
export interface Rates {
  /** Tokens a second of a trace that runs alone. */
  readonly stream: number;
  /** Most tokens a second of all traces together. */
  readonly batch: number;
}

/**
 * Seconds until the last of a question's traces has ended or is stopped; all start together.
 * @param spent [traces] tokens of each
 */
export function generationSeconds(spent: Uint32Array, { stream, batch }: Rates): number {
  const ends = spent.slice().sort();
  let seconds = 0;
  let tick = 0;
  for (const [i, end] of ends.entries()) {
    const running = ends.length - i;
    seconds += (end - tick) * Math.max(1 / stream, running / batch);
    tick = end;
  }
  return seconds;
}
