/**
 * The LaTeX commands that occur in answers, by what the lexer does with them. A command that is in none of these tables
 * is a symbol.
 */

/** A map, because keys come from answers: an object would also find "constructor". */
function table<T>(entries: Record<string, T>): ReadonlyMap<string, T> {
  return new Map(Object.entries(entries));
}

const words = (list: string): ReadonlySet<string> => new Set(list.trim().split(/\s+/));

const GREEK = words(`
  alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho varrho
  sigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega pi
`);
/** Commands that mean the same as another one. */
export const VARIANTS: ReadonlyMap<string, string> = table({
  ...{ varepsilon: 'epsilon', vartheta: 'theta', varrho: 'rho', varphi: 'phi' },
  ...{ dfrac: 'frac', tfrac: 'frac', cfrac: 'frac', dbinom: 'binom', tbinom: 'binom', surd: 'sqrt', root: 'sqrt' },
});
/** Commands without meaning for the answer, and those that take their argument with them. */
export const SPACING = words(`
  quad qquad enspace thinspace left right middle displaystyle textstyle limits nolimits big Big bigg Bigg bigl
  bigr Bigl Bigr biggl biggr Biggl Biggr rm bf it noindent hline scriptstyle newline nonumber therefore
  because protect
`);
export const DROPPED_WITH_ARGUMENT = words('hspace vspace phantom hphantom vphantom label tag color');
/** Commands that only change how their argument looks. */
export const FONTS = words(`
  mathbf mathit mathcal mathfrak mathsf mathtt boldsymbol bm pmb ensuremath underline underbrace mathop
  mathord mathrel
`);
/** Commands with a colour or a mark as their first argument and the content as their second. */
export const DECORATED = words('textcolor colorbox overset underset stackrel');
/** Commands that make words of their argument. */
export const TEXTS = words(`
  text textbf textit textrm textsf texttt textsc textnormal mbox hbox emph mathrm operatorname rmfamily
  bfseries unit si
`);
/** Relations, operators and signs by the one spelling that they have in tokens. */
export const OPERATORS: ReadonlyMap<string, string> = table({
  ...{ cdot: '*', times: '*', ast: '*', div: '/', pm: '±', mp: '∓', le: '<=', leq: '<=', leqslant: '<=', lt: '<' },
  ...{ ge: '>=', geq: '>=', geqslant: '>=', gt: '>', ne: '!=', neq: '!=', approx: '≈', simeq: '≈', doteq: '≈' },
  ...{ equiv: '≡', in: '∈', cup: '∪', cap: '∩', setminus: '∖', backslash: '∖', mid: '|', vert: '|', colon: ':' },
  ...{ to: '→', rightarrow: '→', mapsto: '→', longrightarrow: '→', implies: '⇒', Rightarrow: '⇒', iff: '⇔' },
  ...{ infty: '∞', emptyset: '∅', varnothing: '∅', circ: '°', degree: '°', ldots: '…', dots: '…', cdots: '…' },
  ...{ prime: "'", percent: '%', land: '∧', wedge: '∧', lor: '∨', vee: '∨', star: '*', over: 'over', choose: 'choose' },
  ...{ textdegree: '°', pounds: '£', euro: '€', textdollar: '$', bmod: 'mod', pmod: 'pmod', mod: 'mod', Vert: '|' },
  ...{ cong: '≅', sim: '∼', propto: '∝', perp: '⊥', parallel: '∥', forall: '∀', exists: '∃', notin: '∉', bullet: '*' },
});
export const BRACKETS: ReadonlyMap<string, 'open' | 'close'> = table({
  ...{ langle: 'open', lfloor: 'open', lceil: 'open', lvert: 'open', lVert: 'open', lbrace: 'open' },
  ...{ rangle: 'close', rfloor: 'close', rceil: 'close', rvert: 'close', rVert: 'close', rbrace: 'close' },
});
/** Commands that the expression parser knows by name. */
const MATHS = words(`
  frac sqrt binom sum prod int lim overline bar hat widehat vec tilde dot overrightarrow overleftrightarrow
  ddot angle triangle square measuredangle mathbb boxed sin cos tan cot sec csc sinh cosh tanh coth sech csch
  arcsin arccos arctan arccot arcsec arccsc arsinh arcosh artanh arcsinh arccosh arctanh ln log lg exp max min
  gcd lcm det arg Re Im deg dim ker hbar ell nabla partial aleph imath jmath begin end not sup inf bigcup
  bigcap subset subseteq nmid top intercal
`);
const VOCABULARY = new Set([
  ...[...GREEK, ...SPACING, ...DROPPED_WITH_ARGUMENT, ...FONTS, ...DECORATED, ...TEXTS, ...MATHS],
  ...[...VARIANTS.keys(), ...OPERATORS.keys(), ...BRACKETS.keys()],
]);

/** `\cdote` is `\cdot e`: the longest known name that the letters start with, or all of them where none is known. */
export function commandName(letters: string): string {
  for (let length = letters.length; length > 1; length--) {
    if (VOCABULARY.has(letters.slice(0, length))) return letters.slice(0, length);
  }
  return letters;
}
