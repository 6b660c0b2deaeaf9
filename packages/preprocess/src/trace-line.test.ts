import { describe, expect, it } from 'vitest';
import { digitsOf, parseTrace } from './trace-line.js';

describe('digitsOf', () => {
  const digits = (raw: string) => digitsOf('answer', JSON.parse(raw).answer, raw);

  it('keeps the digits that a JavaScript number would lose', () => {
    expect(digits('{"answer": 12345678901234567890}')).toBe('12345678901234567890');
    expect(digits('{"answer":3.10, "x": 1}')).toBe('3.10');
    expect(digits('{"answer" : -1E3}')).toBe('-1E3');
  });

  it('is not misled by texts and nested objects that look like the field', () => {
    expect(digits('{"text": "\\"answer\\": 5", "answer": 5.0}')).toBe('5.0');
    expect(digits('{"meta": {"answer": 7.0}, "answer": 5.0}')).toBe('5.0');
  });
});

describe('parseTrace', () => {
  const trace = { question: 'Q', response: 'R', ground_truth: 1, extracted_answer: null, id: 9 };

  it('reads answers as text, and keeps the other fields apart', () => {
    const parsed = parseTrace(trace, JSON.stringify(trace));
    expect(parsed).toMatchObject({
      trace: { question: 'Q', response: 'R', ground_truth: '1', extracted_answer: null },
      row: { id: 9 },
    });
  });

  it.each([
    ['a missing field', { ...trace, response: undefined }, 'MISSING_FIELD', 'response is missing'],
    ['a field of another type', { ...trace, ground_truth: ['1'] }, 'INVALID_FIELD', 'ground_truth: '],
    ['an answer that is no number', { ...trace, extracted_answer: Number.NaN }, 'INVALID_FIELD', 'extracted_answer: '],
    ['no object', 'text', 'NOT_AN_OBJECT', 'no object'],
  ])('rejects %s', (_, value, code, reason) => {
    const row =
      typeof value === 'string' ? value : Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined));
    expect(parseTrace(row, '')).toEqual({ reject: { code, reason: expect.stringContaining(reason) } });
  });
});
