import { expect, test } from 'vitest';
import {
  counted,
  decimalInterval,
  decimals,
  interval,
  percent,
  points,
  signed,
  signedDecimals,
} from './figure-text.js';

const figure = (value: number, low: number, high: number) => ({ value, ci95: [low, high] as [number, number] });

test('below zero stands a true minus, never a hyphen', () => {
  const loss = figure(-0.0667, -0.2, 0.01);
  expect(decimals(loss)).toBe('−0.067');
  expect(signedDecimals(loss)).toBe('−0.067');
  expect(decimalInterval(loss)).toBe('[−0.200, 0.010]');
  expect(points(loss)).toBe('−6.7 [−20.0, 1.0]');
  expect(percent(-0.6)).toBe('−60.0 %');
});

test('a number that is rounded to nothing has no sign', () => {
  expect(signed(-0.0004)).toBe('0.0');
  expect(signed(0.0004)).toBe('0.0');
  expect(decimals({ value: -0.0004 })).toBe('0.000');
  expect(interval(figure(0, -0.0001, 0.0001))).toBe('[0.0, 0.0]');
});

test('what is not defined is a dash', () => {
  expect([percent(null), signed(null), decimals({ value: null })]).toEqual(['–', '–', '–']);
});

test('one is one trace, any other number are traces', () => {
  expect([0, 1, 2].map((number) => counted(number, 'trace'))).toEqual(['0 traces', '1 trace', '2 traces']);
});
