import type { Figure } from './evaluate/bootstrap.js';

/** Figures as people read them: numbers have a true minus sign, in JSON they stay numbers. */

export function percent(value: number | null, digits = 1): string {
  return value === null ? '–' : `${plain((100 * value).toFixed(digits))} %`;
}

/** In points of a hundred. */
export function interval({ ci95 }: Figure): string {
  return ci95 ? `[${ci95.map((bound) => plain((100 * bound).toFixed(1))).join(', ')}]` : '';
}

export function signed(value: number | null): string {
  if (value === null) return '–';
  const text = plain((100 * value).toFixed(1));
  return value > 0 && text !== '0.0' ? `+${text}` : text;
}

export function points(difference: Figure): string {
  return `${signed(difference.value)} ${interval(difference)}`;
}

export function negative({ value, ci95 }: Figure): Figure {
  return { value: value === null ? null : -value, ci95: ci95 && [-ci95[1], -ci95[0]] };
}

export function decimals({ value }: Pick<Figure, 'value'>): string {
  return value === null ? '–' : plain(value.toFixed(3));
}

export function signedDecimals({ value }: Figure): string {
  if (value === null) return '–';
  const text = plain(value.toFixed(3));
  return value > 0 && text !== '0.000' ? `+${text}` : text;
}

export function decimalInterval({ ci95 }: Figure): string {
  return ci95 ? `[${ci95.map((bound) => plain(bound.toFixed(3))).join(', ')}]` : '';
}

/** With a minus sign that is as wide as a plus; rounded to nothing, a number has no sign. */
function plain(text: string): string {
  return /^-0\.?0*$/.test(text) ? text.slice(1) : text.replace('-', '−');
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** `1 trace`, `2 traces` */
export function counted(value: number, noun: string): string {
  return `${value} ${noun}${value === 1 ? '' : 's'}`;
}
