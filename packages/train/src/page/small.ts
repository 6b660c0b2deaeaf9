import { type Html, html } from '@scorer/core/report';

/** What stands behind a figure and matters less, such as its interval. */
export function small(text: string): Html {
  return html`<span class="interval">${text}</span>`;
}
