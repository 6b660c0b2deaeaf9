import type { Unit } from './units.js';
import type { Value } from './value.js';

/** An end of an interval. */
export type Endpoint = Value | '+∞' | '-∞';
export interface Interval {
  readonly low: Endpoint;
  readonly high: Endpoint;
  readonly lowClosed: boolean;
  readonly highClosed: boolean;
}

/** `greater` − `smaller` of one inequality, or of ≠. */
export interface Inequality {
  readonly difference: Value;
  readonly relation: '>' | '>=' | '!=';
}

/** What an answer is, as far as its form tells. `(1,2)` stays a tuple here and may still be compared as an interval. */
export type Answer =
  | Quantity
  /** One letter of a multiple choice, with what stood beside it or what else it can mean: "(C) Plane", the symbol C. */
  | { readonly kind: 'choice'; readonly letter: string; readonly content: Answer | undefined }
  | { readonly kind: 'words'; readonly key: string }
  | { readonly kind: 'infinity'; readonly negative: boolean }
  | { readonly kind: 'tuple'; readonly bracket: '(' | '[' | 'langle'; readonly items: readonly Answer[] }
  /** Items without brackets around them, order irrelevant. */
  | { readonly kind: 'list'; readonly items: readonly Answer[] }
  | { readonly kind: 'set'; readonly items: readonly Answer[] }
  | Region
  | { readonly kind: 'matrix'; readonly rows: readonly (readonly Answer[])[] }
  | Equation
  | { readonly kind: 'inequalities'; readonly parts: readonly Inequality[] }
  | { readonly kind: 'ratio'; readonly terms: readonly Value[]; readonly time: TimeOfDay | undefined }
  /** Anything else: compared as written. */
  | { readonly kind: 'opaque'; readonly key: string };

/** What 12:30 is if it is no ratio. */
interface TimeOfDay {
  readonly minutes: number;
  /** a (a.m.) or p, where given. */
  readonly half: string | undefined;
  /** Minutes written 05: certainly a time. */
  readonly padded: boolean;
}

export interface Quantity {
  readonly kind: 'quantity';
  readonly value: Value;
  readonly unit: Unit | undefined;
  /** The other reading of unit letters that may be variables: "5 m" as 5·m. */
  readonly product: Value | undefined;
}

/** A union of intervals of the real line, sorted and merged where the ends are numbers. */
export interface Region {
  readonly kind: 'region';
  readonly variable: string | undefined;
  readonly intervals: readonly Interval[];
}

export interface Equation {
  readonly kind: 'equation';
  /** The left side where it only names what the right side says: x, f(x), P(A), \frac{NO}{BO}, (p,q). */
  readonly name: string | undefined;
  /** The left side where it is a plain variable. */
  readonly symbol: string | undefined;
  /** The last side. */
  readonly value: Answer;
  /** Left minus right side of an equation with two sides. */
  readonly difference: Value | undefined;
  /** Three sides or more: a calculation whose last side is the result. */
  readonly chain: boolean;
}
