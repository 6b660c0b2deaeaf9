const BOXED = '\\boxed{';

/**
 * The content of the last `\boxed{…}` of a text whose braces are balanced and that holds something; undefined where
 * there is none. A box that was cut off doesn't count, nor does the empty one of the task ("within \boxed{}").
 * One pass, whatever the text.
 */
export function lastBoxedAnswer(text: string): string | undefined {
  /** Where the content of each open brace begins, and whether the brace is that of a box. */
  const open: { start: number; isBox: boolean }[] = [];
  let last: { start: number; end: number } | undefined;

  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '\\') {
      const isBox = text.startsWith(BOXED, at);
      if (isBox) open.push({ start: at + BOXED.length, isBox });
      // Of `\{`, `\}` and `\\` the second character is no brace and begins no command.
      at += isBox ? BOXED.length - 1 : 1;
    } else if (character === '{') {
      open.push({ start: at + 1, isBox: false });
    } else if (character === '}') {
      const brace = open.pop();
      const isLater = brace?.isBox && brace.start > (last?.start ?? -1);
      if (isLater && text.slice(brace.start, at).trim() !== '') last = { start: brace.start, end: at };
    }
  }
  return last && text.slice(last.start, last.end).trim();
}
