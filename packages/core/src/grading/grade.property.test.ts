import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_STEPS } from './budget.js';
import { grade, gradeWithin } from './grade.js';

const nonZero = fc.integer({ min: -999, max: 999 }).filter((n) => n !== 0);
const positive = fc.integer({ min: 1, max: 999 });

/** One rational number written in many ways. */
const spellings: readonly ((n: number, d: number, k: number) => string)[] = [
  (n, d) => `\\frac{${n}}{${d}}`,
  (n, d) => `\\dfrac{${n}}{${d}}`,
  (n, d) => `${n}/${d}`,
  (n, d, k) => `\\frac{${n * k}}{${d * k}}`,
  (n, d) => `-\\frac{${-n}}{${d}}`,
  (n, d, k) => `\\frac{${n}}{${d}} + ${k} - ${k}`,
  (n, d, k) => `$\\frac{${n + k * d}}{${d}} - ${k}$`,
  (n, d) => `${n} \\cdot ${d}^{-1}`,
  (n, d, k) => `\\frac{\\frac{${n}}{${k}}}{\\frac{${d}}{${k}}}`,
  (n, d) => `x = \\left(\\frac{${n}}{${d}}\\right)`,
  (n, d) => (n > d && n % d > 0 ? `${Math.floor(n / d)}\\frac{${n % d}}{${d}}` : `${n}/${d}`),
];
const spelling = fc.constantFrom(...spellings);

/** A polynomial or a function of x and y, as a tree that can be written down in equivalent ways. */
type Tree = number | 'x' | 'y' | { op: '+' | '*' | 'sin' | 'exp'; args: Tree[] };
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'tree' },
    fc.integer({ min: -9, max: 9 }),
    fc.constantFrom<Tree>('x', 'y'),
    fc.record({
      op: fc.constantFrom('+' as const, '*' as const),
      args: fc.array(tie('tree'), { minLength: 2, maxLength: 3 }),
    }),
    fc.record({
      op: fc.constantFrom('sin' as const, 'exp' as const),
      args: fc.tuple(fc.constantFrom<Tree>('x', 'y', 2)),
    }),
  ),
}));

function plain(node: Tree): string {
  if (typeof node !== 'object') return String(node);
  const args = node.args.map((arg) => `(${plain(arg)})`);
  if (node.op === 'sin') return `\\sin${args[0]}`;
  if (node.op === 'exp') return `e^{${args[0]}}`;
  return args.join(node.op === '+' ? '+' : '\\cdot ');
}

/** The same value: terms and factors turned round, products over sums multiplied out, functions rewritten. */
function rewritten(node: Tree): string {
  if (typeof node !== 'object') return typeof node === 'number' ? `\\frac{${2 * node}}{2}` : node;
  const args = node.args.map(rewritten).reverse();
  if (node.op === 'sin') return `(2\\sin\\frac{${args[0]}}{2}\\cos\\frac{${args[0]}}{2})`;
  if (node.op === 'exp') return `\\frac{1}{e^{-${args[0]}}}`;
  const [first] = node.args;
  if (node.op === '*' && typeof first === 'object' && first.op === '+') {
    const others = node.args.slice(1).map((arg) => `\\left(${rewritten(arg)}\\right)`);
    return `\\left[${first.args.map((term) => [...others, `(${rewritten(term)})`].join('')).join(' + ')}\\right]`;
  }
  return `{${args.map((arg) => `(${arg})`).join(node.op === '+' ? ' - -' : ' \\times ')}}`;
}

const snippets = fc.constantFrom(
  ...['{', '}', '(', ')', '[', ']', '\\{', '\\}', '|', '^', '_', '!', ',', ';', ':', '=', '<', '\\le', '\\ne', '\\in'],
  ...[
    '\\frac',
    '\\sqrt',
    '\\text{',
    '\\left',
    '\\cup',
    '\\pm',
    '\\sum_{k=1}^{n}',
    '\\binom',
    '\\sin',
    '\\log_',
    '\\infty',
  ],
  ...[
    '\\begin{pmatrix}',
    '\\end{pmatrix}',
    '&',
    '\\\\',
    '%',
    '^\\circ',
    ' cm',
    '$',
    '\\$',
    '\\boxed{',
    ' or ',
    ' and ',
  ],
  ...['1', '0.5', '99999999999', '10^', 'x', 'n', 'e', 'i', '\\pi', '+', '-', '*', '/', '!', '½', '√', 'constructor'],
);
const garbage = fc.oneof(
  fc.array(snippets, { maxLength: 40 }).map((parts) => parts.join('')),
  fc.string({ unit: 'binary', maxLength: 60 }),
);

describe('grade, for random answers', () => {
  it('calls two spellings of one rational number equal', () => {
    fc.assert(
      fc.property(nonZero, positive, positive, spelling, spelling, (n, d, k, one, other) => {
        expect(grade(one(n, d, k), other(n, d, k)).equal).toBe(true);
      }),
    );
  });

  it('calls two different rational numbers different, however written', () => {
    fc.assert(
      fc.property(nonZero, positive, nonZero, positive, positive, spelling, spelling, (n, d, m, e, k, one, other) => {
        fc.pre(n * e !== m * d);
        expect(grade(one(n, d, k), other(m, e, k)).equal).toBe(false);
      }),
    );
  });

  it('never calls two different integers equal', () => {
    const grouped = (n: bigint) => n.toString().replace(/\B(?=(\d{3})+$)/g, ',');
    const forms = fc.constantFrom(
      (n: bigint) => `${n}`,
      grouped,
      (n: bigint) => `\\boxed{${n}}`,
      (n: bigint) => `n=${n}`,
    );
    fc.assert(
      fc.property(fc.bigInt(), fc.bigInt(), fc.integer({ min: 0, max: 3 }), forms, forms, (a, b, power, f, g) => {
        // Near misses as well as numbers apart: off by one, or by a power of ten.
        for (const other of [b, a + 1n, a * 10n ** BigInt(power)]) {
          expect(grade(f(a), g(other)).equal).toBe(a === other);
        }
      }),
    );
  });

  it('calls an expression and an equivalent rewriting of it equal', () => {
    fc.assert(
      fc.property(tree, (node) => {
        expect(grade(plain(node), rewritten(node))).toMatchObject({ equal: true });
      }),
    );
  });

  it('calls an expression and the same plus one different', () => {
    fc.assert(
      fc.property(tree, (node) => {
        expect(grade(`(${plain(node)})+1`, rewritten(node)).equal).toBe(false);
      }),
    );
  });

  it('reads lists in any order and tuples in theirs', () => {
    const items = fc.uniqueArray(fc.integer({ min: -99, max: 99 }), { minLength: 2, maxLength: 6 });
    fc.assert(
      fc.property(items, (numbers) => {
        const turned = [...numbers].reverse();
        expect(grade(numbers.join(', '), turned.join(', ')).equal).toBe(true);
        expect(grade(`\\{${numbers.join(',')}\\}`, turned.join(',')).equal).toBe(true);
        expect(grade(`(${numbers.join(',')})`, `(${turned.join(',')})`).equal).toBe(false);
      }),
    );
  });

  it('never throws, stays within its steps, is symmetric, and is true of a text and itself', () => {
    fc.assert(
      fc.property(garbage, garbage, snippets, (a, b, more) => {
        for (const other of [b, a + more]) {
          const forward = gradeWithin(a, other, {});
          expect(forward.steps).toBeLessThanOrEqual(MAX_STEPS);
          expect(gradeWithin(other, a, {}).grade.equal).toBe(forward.grade.equal);
        }
        expect(grade(a, a).equal).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
