import type { RecordLine, UsableLine } from './records.js';

/** Text of the records that are put into order at a time: some forty traces of 27,000 tokens. */
const WINDOW_CHARACTERS = 4_000_000;

/**
 * The same lines in the order in which they are best computed, within a window of them: lines that can't be used at
 * once, then the samples of one prompt together, since it is computed once for neighbours, and longer traces before
 * shorter ones, so that memory is asked for at the beginning and identical traces are neighbours.
 */
export async function* schedule(
  lines: AsyncIterable<RecordLine>,
  windowCharacters = WINDOW_CHARACTERS,
): AsyncGenerator<RecordLine, void, undefined> {
  let window: UsableLine[] = [];
  let characters = 0;
  for await (const line of lines) {
    if ('error' in line) {
      yield line;
      continue;
    }
    window.push(line);
    characters += lengthOf(line);
    if (characters < windowCharacters) continue;
    yield* inOrder(window);
    window = [];
    characters = 0;
  }
  yield* inOrder(window);
}

function inOrder(window: readonly UsableLine[]): UsableLine[] {
  const longestOf = new Map<string, number>();
  for (const line of window) {
    const { prompt } = line.record;
    longestOf.set(prompt, Math.max(longestOf.get(prompt) ?? 0, lengthOf(line)));
  }
  return window.toSorted(
    (a, b) =>
      longestOf.get(b.record.prompt)! - longestOf.get(a.record.prompt)! ||
      compare(a.record.prompt, b.record.prompt) ||
      lengthOf(b) - lengthOf(a) ||
      compare(a.record.forward_text, b.record.forward_text) ||
      a.index - b.index,
  );
}

/** Characters of the text that is computed: near enough to its tokens. */
function lengthOf({ record }: UsableLine): number {
  return record.prompt.length + record.forward_text.length;
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
