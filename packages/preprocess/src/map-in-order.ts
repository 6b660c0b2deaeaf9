/**
 * The results of an asynchronous function over a sequence, in its order. At most `ahead` items are in work or waiting
 * for their turn, so a slow consumer holds up the source.
 */
export async function* mapInOrder<Item, Result>(
  source: AsyncIterable<Item>,
  { ahead }: { ahead: number },
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result, void, undefined> {
  const pending: Promise<Result>[] = [];
  for await (const item of source) {
    const result = work(item);
    // It is awaited when its turn comes; until then its failure is nobody's surprise.
    result.catch(() => {});
    pending.push(result);
    if (pending.length >= ahead) yield await pending.shift()!;
  }
  for (const result of pending) yield await result;
}
