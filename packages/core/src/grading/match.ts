/** Unordered items that are matched; longer lists are compared in order. */
const MAX_MATCHED_ITEMS = 64;

/** Whether items are equal one by one. */
export function inOrder<T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean {
  return a.length === b.length && a.every((item, at) => same(item, b[at] as T));
}

/** Whether items can be paired off, each with an equal one (bipartite matching: "equal" need not be transitive). */
export function matchUp<T>(a: readonly T[], b: readonly T[], same: (x: T, y: T) => boolean): boolean {
  if (a.length !== b.length) return false;
  if (a.length > MAX_MATCHED_ITEMS) return inOrder(a, b, same);
  const partner: (number | undefined)[] = b.map(() => undefined);
  const known: (boolean | undefined)[] = [];
  const isEqual = (item: number, at: number): boolean => {
    const index = item * b.length + at;
    known[index] ??= same(a[item] as T, b[at] as T);
    return known[index];
  };
  const place = (item: number, tried: Set<number>): boolean =>
    b.some((_, at) => {
      if (tried.has(at) || !isEqual(item, at)) return false;
      tried.add(at);
      const current = partner[at];
      if (current !== undefined && !place(current, tried)) return false;
      partner[at] = item;
      return true;
    });
  return a.every((_, item) => place(item, new Set()));
}

/** The items without those equal to an earlier one. */
export function distinct<T>(items: readonly T[], same: (x: T, y: T) => boolean): readonly T[] {
  if (items.length > MAX_MATCHED_ITEMS) return items;
  const kept: T[] = [];
  for (const item of items) if (!kept.some((other) => same(item, other))) kept.push(item);
  return kept;
}
