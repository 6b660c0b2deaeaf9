/** Markup that is safe to insert as it is. Made by `html` and `inlineJson` only. */
export interface Html {
  readonly markup: string;
}

/** What may stand in a template's `${}`: text and numbers are escaped, markup and lists of it are not. */
export type HtmlValue = Html | string | number | readonly Html[];

/** Template tag: the literal parts are markup, the values are text unless they are `Html` themselves. */
export function html(literals: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return { markup: String.raw({ raw: literals }, ...values.map(toMarkup)) };
}

function toMarkup(value: HtmlValue): string {
  if (typeof value === 'string' || typeof value === 'number') return escapeText(String(value));
  return 'markup' in value ? value.markup : value.map(({ markup }) => markup).join('');
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text for HTML content and for quoted attributes. */
function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** JSON for the inside of a `<script>` element: no character in it can end the element or open a comment. */
export function inlineJson(value: unknown): Html {
  const escapeCode = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  return { markup: JSON.stringify(value).replace(/[<>&\u2028\u2029]/g, escapeCode) };
}

/** Trusted program or style text for the inside of `<script>` or `<style>`. Throws where it would end the element. */
export function inlineSource(source: string): Html {
  if (/<\/(script|style)|<!--/i.test(source)) throw new TypeError('source text would end its HTML element');
  return { markup: source };
}
