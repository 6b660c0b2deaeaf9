import { parseJson } from '@scorer/core/jsonl';

/** The value of a JSON text; undefined, which fits no schema, where it is none. */
export function parseOrUndefined(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}
