import { expect, test } from 'vitest';
import { lineTokens } from './line-tokens.js';

const TRICKY_TEXT = 'é", "extracted_position": [7], "\\"extracted_position\\": [9]}\n';

test.each([
  ['of one step', { extracted_position: [4] }, 5],
  ['of many steps', { extracted_position: [3, 12, 27_000] }, 27_001],
  ['without a step', { extracted_position: [] }, 0],
  ['with labels of its steps', { extracted_position: [3, 12], step_labels: [1, null] }, 13],
  ['with texts that look like it', { extracted_position: [3, 12], comment: TRICKY_TEXT }, 13],
])('a step record %s takes the tokens up to its last step end', (_, record, tokens) => {
  for (const indent of [0, 1]) {
    const line = Buffer.from(`  ${JSON.stringify({ full_text: TRICKY_TEXT, ...record }, null, indent)}`);
    expect(lineTokens(line)).toBe(tokens);
    expect(lineTokens(new Uint8Array(line.buffer, line.byteOffset + 2, line.length - 2))).toBe(tokens);
  }
});

test.each([
  ...['', '{}', 'not JSON', '{"extracted_position": 3}', '{"extracted_position": [1, 2'],
  '{"extracted_position": ["a"]}',
])('a line that is no step record takes none: %j', (line) => {
  expect(lineTokens(Buffer.from(line))).toBe(0);
});
