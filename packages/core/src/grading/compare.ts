import type { Answer, Endpoint, Equation, Inequality, Interval, Quantity, Region } from './answer.js';
import { type Budget, spend } from './budget.js';
import { intervalsOf } from './collections.js';
import { type ExpressionRule, matchValues } from './compare-values.js';
import { product, quotient } from './expression.js';
import { distinct, inOrder, matchUp } from './match.js';
import { createRegion } from './region.js';
import { createValue, isSolvedBy, proportion, sameValue, type Value } from './value.js';

/** What decided a comparison of two answers that were read. */
export type CompareRule =
  | ExpressionRule
  | 'unit'
  | 'percent'
  | 'degrees'
  | 'choice'
  | 'words'
  | 'infinity'
  | 'tuple'
  | 'list'
  | 'set'
  | 'region'
  | 'matrix'
  | 'equation'
  | 'inequality'
  | 'ratio'
  | 'time'
  /** The two are different kinds of thing. */
  | 'kind'
  /** Neither was understood: compared as written. */
  | 'written';

export interface Verdict {
  readonly equal: boolean;
  readonly rule: CompareRule;
}

const no = (rule: CompareRule): Verdict => ({ equal: false, rule });
const verdict = (equal: boolean, rule: CompareRule): Verdict => ({ equal, rule });

/** Whether two answers say the same. Symmetric in its arguments. */
export function compareAnswers(a: Answer, b: Answer, budget: Budget): Verdict {
  spend(budget, 1);
  const same = (x: Answer, y: Answer) => compareAnswers(x, y, budget).equal;

  if (a.kind === 'choice' && b.kind === 'choice') return verdict(a.letter === b.letter, 'choice');
  if (a.kind === 'choice') return a.content ? compareAnswers(a.content, b, budget) : no('kind');
  if (b.kind === 'choice') return b.content ? compareAnswers(a, b.content, budget) : no('kind');

  if (a.kind === 'equation' && b.kind === 'equation') return verdict(sameEquation(a, b, budget), 'equation');
  // A list knows better what to do with the names of its items.
  if (a.kind === 'equation' && (b.kind !== 'list' || isCollection(a.value))) return compareNamed(a, b, budget);
  if (b.kind === 'equation' && (a.kind !== 'list' || isCollection(b.value))) return compareNamed(b, a, budget);

  if (a.kind === 'quantity' && b.kind === 'quantity') return compareQuantities(a, b, budget);
  if (a.kind === 'words' && b.kind === 'words') return verdict(a.key === b.key, 'words');
  if (a.kind === 'infinity' && b.kind === 'infinity') return verdict(a.negative === b.negative, 'infinity');
  if (a.kind === 'opaque' && b.kind === 'opaque') return verdict(a.key === b.key, 'written');
  if (a.kind === 'matrix' && b.kind === 'matrix') {
    return verdict(sameShape(a.rows, b.rows) && inOrder(a.rows.flat(), b.rows.flat(), same), 'matrix');
  }
  if (a.kind === 'inequalities' && b.kind === 'inequalities') {
    return verdict(
      matchUp(a.parts, b.parts, (x, y) => sameInequality(x, y, budget)),
      'inequality',
    );
  }
  if (a.kind === 'ratio' || b.kind === 'ratio') return compareRatios(a, b, budget);
  if (a.kind === 'region' || b.kind === 'region') {
    const [x, y] = [asRegion(a, budget), asRegion(b, budget)];
    return x && y ? verdict(sameRegion(x, y, budget), 'region') : no('kind');
  }
  return compareCollections(a, b, same);
}

// Collections

/** Tuples are ordered, lists and sets are not; a list whose items have different names is ordered by them. */
function compareCollections(a: Answer, b: Answer, same: (x: Answer, y: Answer) => boolean): Verdict {
  const [x, y] = [itemsOf(a), itemsOf(b)];
  if (!x || !y || !(isCollection(a) || isCollection(b))) return no('kind');
  // A set of equations is a list of them.
  const kinds = [a, b].map(({ kind }, at) => (kind === 'set' && hasNames(at === 0 ? x : y) ? 'list' : kind));
  const rule = (['matrix', 'tuple', 'set'] as const).find((kind) => kinds.includes(kind)) ?? 'list';
  const ordered = rule === 'matrix' || rule === 'tuple';
  if (kinds.includes('set') && ordered) return no('kind');
  // "7/2 or 3.5" is one answer, and so is a set of one.
  const isSingle = (x.length === 1 || y.length === 1) && !ordered;
  if (rule === 'set' || isSingle) return verdict(matchUp(distinct(x, same), distinct(y, same), same), rule);

  const [namedA, namedB] = [hasNames(x), hasNames(y)];
  if (namedA && namedB) return verdict(matchUp(x, y, same), rule);
  if (namedA || namedB) {
    const [named, plain] = namedA ? [x, y] : [y, x];
    const values = unnamed(named);
    const byName = unnamed([...named].sort((p, q) => (nameOfItem(p) < nameOfItem(q) ? -1 : 1)));
    return verdict(inOrder(values, plain, same) || (ordered && inOrder(byName, plain, same)), rule);
  }
  const [left, right] = [unnamed(x), unnamed(y)];
  return verdict(ordered ? inOrder(left, right, same) : matchUp(left, right, same), rule);
}

/** The items of a collection; a vector is a tuple, and a single item is a list of one. */
function itemsOf(answer: Answer): readonly Answer[] | undefined {
  switch (answer.kind) {
    case 'tuple':
    case 'list':
    case 'set':
      return answer.items;
    case 'matrix': {
      const isVector = answer.rows.length === 1 || answer.rows.every((row) => row.length === 1);
      if (isVector) return answer.rows.flat();
      return answer.rows.map((row) => ({ kind: 'tuple', bracket: '[', items: row }));
    }
    case 'words':
      // Several choices written as one word: ABD.
      return /^[a-h]{2,}$/.test(answer.key) ? [...answer.key].map(chosen) : undefined;
    case 'quantity':
    case 'equation':
      return [answer];
    default:
      return undefined;
  }
}

const chosen = (letter: string): Answer => ({ kind: 'choice', letter, content: undefined });
const isCollection = ({ kind }: Answer): boolean =>
  kind === 'tuple' || kind === 'list' || kind === 'set' || kind === 'matrix';

const nameOfItem = (item: Answer): string => (item.kind === 'equation' ? (item.name ?? '') : '');

/** Whether all items are "name = value" with different names; x_1 = 1, x_2 = 2 are roots and in no order. */
function hasNames(items: readonly Answer[]): boolean {
  const names = items.map(nameOfItem);
  if (items.length < 2 || names.some((name) => name === '')) return false;
  const stems = new Set(names.map((name) => name.replace(/ _ .*$/, '')));
  return new Set(names).size === items.length && stems.size > 1;
}

/** The values of "name = value" items. */
function unnamed(items: readonly Answer[]): Answer[] {
  return items.map((item) => (item.kind === 'equation' && (item.name !== undefined || item.chain) ? item.value : item));
}

function sameShape(a: readonly (readonly unknown[])[], b: readonly (readonly unknown[])[]): boolean {
  return inOrder(a, b, (x, y) => x.length === y.length);
}

// Equations and inequalities

/** Same name and same value; or one follows from the other by a constant factor or by solving for a variable. */
function sameEquation(a: Equation, b: Equation, budget: Budget): boolean {
  const namesAgree = a.name === b.name || isCurve(a, b) || isCurve(b, a);
  const resultsOnly = (a.chain && (b.chain || b.name === undefined)) || (b.chain && a.name === undefined);
  const unnamedResults = a.name === undefined || b.name === undefined ? resultsOnly : false;
  if (((a.name !== undefined && namesAgree) || unnamedResults) && compareAnswers(a.value, b.value, budget).equal)
    return true;
  if (!a.difference || !b.difference) return false;
  if (proportion(a.difference, b.difference, budget) !== undefined) return true;
  return isSolution(a, b, budget) || isSolution(b, a, budget);
}

/** y = 2x and f(x) = 2x. */
function isCurve(a: Equation, b: Equation): boolean {
  return a.name === 'y' && /^\w ' ?\( x \)$|^\w \( x \)$/.test(b.name ?? '');
}

/** x = … is what solving the other equation for x gives. */
function isSolution(solved: Equation, other: Equation, budget: Budget): boolean {
  if (solved.symbol === undefined || solved.value.kind !== 'quantity' || !other.difference) return false;
  return isSolvedBy(other.difference, solved.symbol, solved.value.value.expression, budget);
}

/** "name = value" against a value. Equations whose left side is more than a name say more than their right side. */
function compareNamed(a: Equation, b: Answer, budget: Budget): Verdict {
  if (a.name === undefined && !a.chain) return no('equation');
  return compareAnswers(a.value, b, budget);
}

function sameInequality(a: Inequality, b: Inequality, budget: Budget): boolean {
  if (a.relation !== b.relation) return false;
  const factor = proportion(a.difference, b.difference, budget);
  return factor !== undefined && (factor > 0 || a.relation === '!=');
}

// Parts of the real line

/** Pairs, sets of numbers and lists of intervals can stand for parts of the real line. */
function asRegion(answer: Answer, budget: Budget): Region | undefined {
  if (answer.kind === 'region') return answer;
  const intervals = intervalsOf(answer);
  return intervals && createRegion(undefined, intervals, budget);
}

function sameRegion(a: Region, b: Region, budget: Budget): boolean {
  if (a.variable !== undefined && b.variable !== undefined && a.variable !== b.variable) return false;
  return matchUp(a.intervals, b.intervals, (x, y) => sameInterval(x, y, budget));
}

function sameInterval(a: Interval, b: Interval, budget: Budget): boolean {
  const sameEnd = (x: Endpoint, y: Endpoint) =>
    typeof x === 'string' || typeof y === 'string' ? x === y : matchValues(x, y, budget).equal;
  if (a.lowClosed !== b.lowClosed || a.highClosed !== b.highClosed) return false;
  return sameEnd(a.low, b.low) && sameEnd(a.high, b.high);
}

// Numbers

/** Ratios are equal in proportion; 3:4 is also the fraction 3/4. Times of day are equal as written. */
function compareRatios(a: Answer, b: Answer, budget: Budget): Verdict {
  if (a.kind === 'ratio' && b.kind === 'ratio') {
    const isTime = a.time && b.time && [a.time, b.time].some(({ half, padded }) => half !== undefined || padded);
    if (a.time && b.time && isTime) {
      const sameHalf = a.time.half === b.time.half || a.time.half === undefined || b.time.half === undefined;
      return verdict(a.time.minutes === b.time.minutes && sameHalf, 'time');
    }
    const [firstA, firstB] = [a.terms[0], b.terms[0]];
    if (!firstA || !firstB || a.terms.length !== b.terms.length) return no('ratio');
    const cross = (x: Value, y: Value) => createValue(product(x.expression, y.expression));
    const inProportion = a.terms.every((term, at) => {
      const other = b.terms[at];
      return other !== undefined && sameValue(cross(term, firstB), cross(other, firstA), budget).equal;
    });
    return verdict(inProportion, 'ratio');
  }
  const [ratio, other] = a.kind === 'ratio' ? [a, b] : [b, a];
  if (ratio.kind !== 'ratio' || other.kind !== 'quantity') return no('kind');
  const [over, under] = ratio.terms;
  if (!over || !under || ratio.terms.length > 2) return no('kind');
  const fraction = createValue(quotient(over.expression, under.expression));
  return verdict(sameValue(fraction, other.value, budget).equal, 'ratio');
}

/**
 * Two units of one dimension are converted. A number without unit equals the bare number of any unit; 50% and 90° may
 * also stand for the numbers 1/2 and π/2.
 */
function compareQuantities(a: Quantity, b: Quantity, budget: Budget): Verdict {
  const bare = matchValues(a.value, b.value, budget);
  if (!a.unit && !b.unit) return bare;
  if (a.product && !b.unit) {
    const asProducts = matchValues(a.product, b.value, budget);
    if (asProducts.equal || b.value.symbols.size > 0) return asProducts;
  }
  if (b.product && !a.unit) {
    const asProducts = matchValues(a.value, b.product, budget);
    if (asProducts.equal || a.value.symbols.size > 0) return asProducts;
  }
  const rule = unitRule(a, b);
  const [dimensionA, dimensionB] = [a.unit?.dimension, b.unit?.dimension];
  if (dimensionA !== undefined && dimensionB !== undefined) {
    if (dimensionA !== dimensionB) return no(rule);
    return verdict(matchValues(scaled(a), scaled(b), budget).equal, rule);
  }
  if (bare.equal) return verdict(true, rule);
  const oneIsBare = !a.unit || !b.unit;
  const isNumber = rule === 'percent' || rule === 'degrees';
  return verdict(oneIsBare && isNumber && matchValues(scaled(a), scaled(b), budget).equal, rule);
}

function unitRule(a: Quantity, b: Quantity): 'percent' | 'degrees' | 'unit' {
  const dimensions = [a.unit?.dimension, b.unit?.dimension];
  return dimensions.includes('percent1') ? 'percent' : dimensions.includes('angle1') ? 'degrees' : 'unit';
}

function scaled({ value, unit }: Quantity): Value {
  return unit ? createValue(product(value.expression, unit.factor)) : value;
}
