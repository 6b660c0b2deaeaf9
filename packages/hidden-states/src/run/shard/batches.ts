/**
 * Traces together as long as they have no more than `limit` tokens, each alone where `limit` is 0; one that has more
 * is a batch too.
 */
export async function* inBatches<Trace extends { tokens: { inputIds: Int32Array } }>(
  traces: AsyncIterable<Trace>,
  limit: number,
): AsyncGenerator<Trace[], void, undefined> {
  let batch: Trace[] = [];
  let total = 0;
  for await (const trace of traces) {
    const { length } = trace.tokens.inputIds;
    if (batch.length > 0 && total + length > limit) {
      yield batch;
      batch = [];
      total = 0;
    }
    batch.push(trace);
    total += length;
    if (total < limit) continue;
    yield batch;
    batch = [];
    total = 0;
  }
  if (batch.length > 0) yield batch;
}
