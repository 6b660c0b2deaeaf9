import { describe, expect, it } from 'vitest';
import { html, inlineJson, inlineSource } from './html.js';

describe('html', () => {
  it('escapes text and keeps markup', () => {
    const cell = html`<td title="${`"'&`}">${'<script>alert(1)</script>'}</td>`;
    expect(html`<tr>${[cell, html`<td>${0.5}</td>`]}</tr>`.markup).toBe(
      '<tr><td title="&quot;&#39;&amp;">&lt;script&gt;alert(1)&lt;/script&gt;</td><td>0.5</td></tr>',
    );
  });
});

describe('inlineJson', () => {
  it('cannot end its script element, and parses back to the same value', () => {
    const value = { name: '</script><!-- & \u2028', values: [1, null] };
    const { markup } = inlineJson(value);
    expect(markup).not.toMatch(/[<>&\u2028]/);
    expect(JSON.parse(markup)).toEqual(value);
  });
});

describe('inlineSource', () => {
  it('refuses a program that would end its element', () => {
    expect(() => inlineSource('const tag = "</SCRIPT>"')).toThrow(TypeError);
    expect(inlineSource('a < b && b > c').markup).toBe('a < b && b > c');
  });
});
