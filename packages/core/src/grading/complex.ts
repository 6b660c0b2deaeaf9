/**
 * A complex number in doubles with a bound on its error, which is what lets "equal" mean equal: two values agree where
 * their difference is within the bounds that they carry, and not where it is merely small.
 */
export interface Complex {
  readonly re: number;
  readonly im: number;
  /** First-order bound on the absolute error. */
  readonly err: number;
  /** False once a real function was taken outside its real domain on the way here: √(−1), ln(−1), arcsin 2. */
  readonly real: boolean;
}

const EPSILON = 2 ** -52;
/** Error, in units of the last place, allowed for one call of a `Math` function. */
const CALL_ULPS = 4;

export const fromReal = (re: number, err = Math.abs(re) * EPSILON): Complex => ({ re, im: 0, err, real: true });
export const I: Complex = { re: 0, im: 1, err: 0, real: true };
export const UNDEFINED: Complex = { re: Number.NaN, im: Number.NaN, err: 0, real: true };

export const size = (z: Complex): number => Math.hypot(z.re, z.im);
export const isDefined = (z: Complex): boolean => Number.isFinite(z.re) && Number.isFinite(z.im) && z.err < Infinity;
/** Whether the imaginary part is nothing but rounding. */
export const isReal = (z: Complex): boolean => Math.abs(z.im) <= 4 * z.err;

const make = (re: number, im: number, err: number, real: boolean): Complex => ({
  re,
  im,
  err: err + Math.hypot(re, im) * EPSILON,
  real,
});
const outside = (z: Complex): Complex => ({ ...z, real: false });

export const negate = (z: Complex): Complex => ({ ...z, re: -z.re, im: -z.im });
export const add = (a: Complex, b: Complex): Complex => make(a.re + b.re, a.im + b.im, a.err + b.err, a.real && b.real);

export function multiply(a: Complex, b: Complex): Complex {
  const err = size(a) * b.err + size(b) * a.err + a.err * b.err;
  if (a.im === 0 && b.im === 0) return make(a.re * b.re, 0, err, a.real && b.real);
  return make(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re, 3 * err, a.real && b.real);
}

export function invert(z: Complex): Complex {
  const norm = z.re * z.re + z.im * z.im;
  // A zero up to rounding has no inverse worth comparing.
  if (Math.sqrt(norm) <= 4 * z.err) return UNDEFINED;
  return make(z.re / norm, -z.im / norm, z.err / norm, z.real);
}

export const divide = (a: Complex, b: Complex): Complex => multiply(a, invert(b));

/** f(x) of a real function with derivative bound `slope` at x. */
function realCall(z: Complex, value: number, slope: number): Complex {
  const rounding = CALL_ULPS * EPSILON * Math.abs(value);
  return { re: value, im: 0, err: Math.abs(slope) * z.err + rounding, real: z.real };
}

export function exp(z: Complex): Complex {
  const scale = Math.exp(z.re);
  if (isReal(z)) return realCall(z, scale, scale);
  const err = scale * (z.err + CALL_ULPS * EPSILON * (1 + Math.abs(z.im)));
  return make(scale * Math.cos(z.im), scale * Math.sin(z.im), err, z.real);
}

/** Principal value. */
export function ln(z: Complex): Complex {
  const length = size(z);
  if (length <= 4 * z.err) return UNDEFINED;
  if (isReal(z) && z.re > 0) return realCall(z, Math.log(z.re), 1 / z.re);
  const angle = isReal(z) ? Math.PI : Math.atan2(z.im, z.re);
  return make(Math.log(length), angle, z.err / length + CALL_ULPS * EPSILON, z.real && !isReal(z));
}

/** √z, principal value. */
function squareRoot(z: Complex): Complex {
  if (isReal(z)) {
    if (z.re === 0 || Math.abs(z.re) <= z.err)
      return { re: 0, im: 0, err: Math.sqrt(Math.abs(z.re) + z.err), real: z.real };
    const root = Math.sqrt(Math.abs(z.re));
    const value = realCall(z, root, 0.5 / root);
    return z.re > 0 ? value : outside({ ...value, re: 0, im: root });
  }
  const length = size(z);
  const re = Math.sqrt((length + Math.abs(z.re)) / 2);
  const im = Math.abs(z.im) / (2 * re);
  const err = z.err / Math.sqrt(length);
  const upper = z.im < 0 ? -1 : 1;
  return z.re >= 0 ? make(re, upper * im, err, z.real) : make(im, upper * re, err, z.real);
}

/** z^n by squaring, so that integer powers of negative and complex bases stay exact in their phase. */
function wholePower(z: Complex, n: number): Complex {
  if (n < 0) return invert(wholePower(z, -n));
  let result = fromReal(1, 0);
  let square = z;
  for (let rest = n; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = multiply(result, square);
    square = multiply(square, square);
  }
  return result;
}

/** Largest whole exponent taken by repeated squaring; doubles lose all accuracy beyond. */
const MAX_WHOLE_EXPONENT = 4_096;

export function power(base: Complex, exponent: Complex): Complex {
  const isZero = size(base) <= base.err;
  if (isZero && (!isReal(exponent) || exponent.re <= 0)) return UNDEFINED;
  if (isReal(exponent) && Math.abs(exponent.re - Math.round(exponent.re)) <= 2 * exponent.err) {
    const n = Math.round(exponent.re);
    if (Math.abs(n) <= MAX_WHOLE_EXPONENT) return wholePower(base, n);
  }
  if (isZero) return { ...base, im: 0, re: 0 };
  if (isReal(base) && base.re > 0 && isReal(exponent)) {
    const value = base.re ** exponent.re;
    const relative = Math.abs(exponent.re / base.re) * base.err + Math.abs(Math.log(base.re)) * exponent.err;
    return {
      ...realCall(base, value, 0),
      err: value * (relative + CALL_ULPS * EPSILON),
      real: base.real && exponent.real,
    };
  }
  return exp(multiply(exponent, ln(base)));
}

/** The real n-th root of a negative number for odd n, else the principal value. */
export function root(z: Complex, degree: number): Complex {
  if (degree === 2) return squareRoot(z);
  const exponent = fromReal(1 / degree);
  if (isReal(z) && z.re < 0 && degree % 2 === 1) return negate(power(negate(z), exponent));
  return power(z, exponent);
}

/** e^{iz} and e^{−iz}, for the functions defined by them. */
function exponentials(z: Complex): [Complex, Complex] {
  const iz = multiply(I, z);
  return [exp(iz), exp(negate(iz))];
}
const HALF = fromReal(0.5);
const HALF_OVER_I: Complex = { re: 0, im: -0.5, err: 0, real: true };
const ONE = fromReal(1, 0);
const subtract = (a: Complex, b: Complex): Complex => add(a, negate(b));

export function sin(z: Complex): Complex {
  if (isReal(z)) return trigonometric(z, Math.sin(z.re));
  const [up, down] = exponentials(z);
  return multiply(HALF_OVER_I, subtract(up, down));
}

export function cos(z: Complex): Complex {
  if (isReal(z)) return trigonometric(z, Math.cos(z.re));
  const [up, down] = exponentials(z);
  return multiply(HALF, add(up, down));
}

function trigonometric(z: Complex, value: number): Complex {
  return { re: value, im: 0, err: z.err + CALL_ULPS * EPSILON * Math.max(1, Math.abs(z.re)) * 0.25, real: z.real };
}

export function sinh(z: Complex): Complex {
  if (isReal(z)) return realCall(z, Math.sinh(z.re), Math.cosh(z.re));
  return multiply(HALF, subtract(exp(z), exp(negate(z))));
}

export function cosh(z: Complex): Complex {
  if (isReal(z)) return realCall(z, Math.cosh(z.re), Math.abs(Math.sinh(z.re)));
  return multiply(HALF, add(exp(z), exp(negate(z))));
}

export function tanh(z: Complex): Complex {
  if (isReal(z)) return realCall(z, Math.tanh(z.re), 1);
  return divide(sinh(z), cosh(z));
}

export function arctan(z: Complex): Complex {
  if (isReal(z)) return realCall(z, Math.atan(z.re), 1 / (1 + z.re * z.re));
  // (ln(1 + iz) − ln(1 − iz)) / 2i
  const iz = multiply(I, z);
  return multiply(HALF_OVER_I, subtract(ln(add(ONE, iz)), ln(subtract(ONE, iz))));
}

export function arcsin(z: Complex): Complex {
  if (isReal(z) && Math.abs(z.re) <= 1 + 4 * z.err) return arc(z, Math.asin);
  // −i ln(iz + √(1 − z²))
  const inner = add(multiply(I, z), squareRoot(subtract(ONE, multiply(z, z))));
  return outside(multiply({ re: 0, im: -1, err: 0, real: true }, ln(inner)));
}

export function arccos(z: Complex): Complex {
  if (isReal(z) && Math.abs(z.re) <= 1 + 4 * z.err) return arc(z, Math.acos);
  return subtract(fromReal(Math.PI / 2), arcsin(z));
}

/** At ±1 the slope is infinite, the error that of a square root. */
function arc(z: Complex, f: (x: number) => number): Complex {
  const x = Math.max(-1, Math.min(1, z.re));
  const slope = 1 / Math.sqrt(Math.max(1 - x * x, 2 * z.err, EPSILON));
  return realCall(z, f(x), slope);
}

export function arsinh(z: Complex): Complex {
  if (isReal(z)) return realCall(z, Math.asinh(z.re), 1);
  return ln(add(z, squareRoot(add(multiply(z, z), ONE))));
}

export function arcosh(z: Complex): Complex {
  if (isReal(z) && z.re > 1) return realCall(z, Math.acosh(z.re), 1 / Math.sqrt(z.re * z.re - 1));
  return outside(ln(add(z, multiply(squareRoot(add(z, ONE)), squareRoot(subtract(z, ONE))))));
}

export function artanh(z: Complex): Complex {
  if (isReal(z) && Math.abs(z.re) < 1) return realCall(z, Math.atanh(z.re), 1 / (1 - z.re * z.re));
  return outside(multiply(HALF, subtract(ln(add(ONE, z)), ln(subtract(ONE, z)))));
}

/** Lanczos, g = 7, n = 9 (Godfrey): relative error about 1e-14 for Re z > 0.5, reflection below. */
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];
const GAMMA_ERROR = 1e-12;

export function gamma(z: Complex): Complex {
  if (z.re < 0.5) {
    const pi = fromReal(Math.PI);
    return divide(pi, multiply(sin(multiply(pi, z)), gamma(subtract(ONE, z))));
  }
  const x = subtract(z, ONE);
  let series = fromReal(LANCZOS[0] ?? 0);
  for (let k = 1; k < LANCZOS.length; k++) {
    series = add(series, divide(fromReal(LANCZOS[k] ?? 0), add(x, fromReal(k))));
  }
  const t = add(x, fromReal(7.5));
  const scale = multiply(power(t, add(x, HALF)), exp(negate(t)));
  const value = multiply(fromReal(Math.sqrt(2 * Math.PI)), multiply(scale, series));
  return { ...value, err: value.err + GAMMA_ERROR * size(value) };
}
