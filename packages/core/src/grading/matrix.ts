import type { Answer } from './answer.js';
import { type Expression, negative, product, sum } from './expression.js';
import type { Token } from './lex.js';
import type { Reader } from './reader.js';
import { closingToken, enclosed, indexAtTop, isOp, split } from './tokens.js';
import { createValue } from './value.js';

const MATRICES = new Set(['pmatrix', 'bmatrix', 'matrix', 'Bmatrix', 'smallmatrix', 'array', 'vmatrix', 'Vmatrix']);
/** Environments whose rows are answers of their own. */
const ROWS = new Set(['cases', 'aligned', 'align', 'gathered', 'gather', 'split', 'rcases', 'dcases']);
/** Determinants are written out as sums of products: 4! of them. */
const MAX_DETERMINANT = 4;

const isEnvironment = ({ type, text }: Token): boolean => type === 'open' && (MATRICES.has(text) || ROWS.has(text));

/** A matrix, with a factor before it or a transpose mark after it; a determinant, which is a number; rows of cases. */
export function readMatrix(source: readonly Token[], reader: Reader): Answer | undefined {
  if (!source.some(isEnvironment)) return undefined;
  const tokens = withoutBrackets(source);
  const start = indexAtTop(tokens, isEnvironment);
  const end = start < 0 ? -1 : closingToken(tokens, start);
  if (end < 0) return undefined;
  const name = tokens[start]?.text ?? '';
  const cells = split(tokens.slice(start + 1, end), (token) => isOp(token, '\\\\'))
    .filter((row) => row.length > 0)
    .map((row) => split(row, (token) => isOp(token, '&')));
  if (ROWS.has(name)) {
    const items = cells.map((row) => reader.readWhole(row.flat()));
    return items.length === 1 ? items[0] : { kind: 'list', items };
  }
  const [before, after] = [tokens.slice(0, start), tokens.slice(end + 1)];
  const bars = isOp(before.at(-1), '|') && isOp(after[0], '|');
  const det = before.length === 1 && before[0]?.text === 'det';
  if (name === 'vmatrix' || name === 'Vmatrix' || bars || det) {
    const isWhole = before.length + after.length === (bars ? 2 : det ? 1 : 0);
    const determinant = isWhole ? determinantOf(cells.map((row) => row.map(reader.parse))) : undefined;
    return determinant && number(determinant);
  }
  return readFactorAndTranspose({ before, cells, after }, reader);
}

function readFactorAndTranspose(
  { before, cells, after }: { before: Token[]; cells: Token[][][]; after: Token[] },
  { parse, readItem }: Reader,
): Answer | undefined {
  const isTransposed = /^\^\{?(?:T|intercal|top)\}?$/.test(after.map(({ text }) => text).join(''));
  if (after.length > 0 && !isTransposed) return undefined;
  const scalar = before.filter((token) => !isOp(token, '*'));
  const factor =
    scalar.length === 0 ? undefined : isOp(scalar[0], '-') && scalar.length === 1 ? MINUS_ONE : parse(scalar);
  if (scalar.length > 0 && !factor) return undefined;
  const rows = cells.map((row) =>
    row.map((cell): Answer => {
      const entry = factor && parse(cell);
      return entry ? number(product(factor, entry)) : readItem(cell);
    }),
  );
  return { kind: 'matrix', rows: isTransposed ? transpose(rows) : rows };
}

const MINUS_ONE: Expression = { op: 'number', value: { n: -1n, d: 1n } };
const number = (expression: Expression): Answer => ({
  kind: 'quantity',
  value: createValue(expression),
  unit: undefined,
  product: undefined,
});

/** \left[\begin{array}…\end{array}\right] */
function withoutBrackets(tokens: readonly Token[]): readonly Token[] {
  const inside = enclosed(tokens);
  const first = inside?.[0];
  const isAround = inside && first && isEnvironment(first) && enclosed(inside) && !isEnvironment(tokens[0] as Token);
  return isAround ? inside : tokens;
}

function transpose(rows: readonly (readonly Answer[])[]): Answer[][] {
  const width = Math.min(...rows.map((row) => row.length));
  return Array.from({ length: width }, (_, column) => rows.map((row) => row[column] as Answer));
}

/** Laplace expansion along the first row. */
function determinantOf(rows: readonly (readonly (Expression | undefined)[])[]): Expression | undefined {
  const n = rows.length;
  if (n === 0 || n > MAX_DETERMINANT || rows.some((row) => row.length !== n)) return undefined;
  const [first = [], ...rest] = rows;
  if (n === 1) return first[0];
  const terms: Expression[] = [];
  for (const [column, entry] of first.entries()) {
    const minor = determinantOf(rest.map((row) => row.filter((_, at) => at !== column)));
    if (!entry || !minor) return undefined;
    terms.push(column % 2 === 0 ? product(entry, minor) : negative(product(entry, minor)));
  }
  return sum(...terms);
}
