import { closingBrace } from './tokens.js';

/**
 * The first pass over an answer, on plain text: Unicode to LaTeX, and the wrappers around the answer taken off
 * (`$…$`, `\boxed{…}`, Markdown bold). Everything that needs to know about brackets or words is left to the lexer.
 */
export function normalise(text: string): string {
  return withoutMathDelimiters(boxedContent(unicodeToLatex(text)))
    .replace(/^\s*\*\*(.+)\*\*\s*$/s, '$1') // Markdown bold around the answer
    .replaceAll('**', '^') // a power as programming languages write it
    .trim();
}

/** Runs of superscripts are one exponent (x¹² is x^{12}), subscripts likewise. */
const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿⁱ';
const SUPERSCRIPT_VALUES = '0123456789+-ni';
const SUBSCRIPTS = '₀₁₂₃₄₅₆₇₈₉₊₋ₙₖ';
const SUBSCRIPT_VALUES = '0123456789+-nk';

const SYMBOLS: Record<string, string> = {
  ...{ '−': '-', '–': '-', '—': '-', '‐': '-', '‑': '-', '×': '*', '⋅': '*', '·': '*', '∙': '*', '∗': '*', '÷': '/' },
  ...{ '⁄': '/', '∕': '/', '∶': ':', '±': '\\pm ', '∓': '\\mp ', '√': '\\sqrt ', '∛': '\\sqrt[3] ', '∞': '\\infty ' },
  ...{ '≤': '\\le ', '≥': '\\ge ', '⩽': '\\le ', '⩾': '\\ge ', '≠': '\\ne ', '≈': '\\approx ', '≡': '\\equiv ' },
  ...{ '∈': '\\in ', '∪': '\\cup ', '∩': '\\cap ', '∖': '\\setminus ', '∅': '\\emptyset ', ø: '\\emptyset ' },
  ...{ ℝ: '\\mathbb{R} ', ℤ: '\\mathbb{Z} ', ℚ: '\\mathbb{Q} ', ℕ: '\\mathbb{N} ', ℂ: '\\mathbb{C} ' },
  ...{ '°': '^\\circ ', '′': "'", '’': "'", '″': "''", '∠': '\\angle ', '△': '\\triangle ', '…': '\\ldots ' },
  ...{ '⌊': '\\lfloor ', '⌋': '\\rfloor ', '⌈': '\\lceil ', '⌉': '\\rceil ', '⟨': '\\langle ', '⟩': '\\rangle ' },
  ...{ '∑': '\\sum ', '∏': '\\prod ', '→': '\\to ', '、': ',', '。': '.', '“': '"', '”': '"' },
  ...{ '½': '\\frac{1}{2}', '⅓': '\\frac{1}{3}', '⅔': '\\frac{2}{3}', '¼': '\\frac{1}{4}', '¾': '\\frac{3}{4}' },
  ...{ '⅕': '\\frac{1}{5}', '⅖': '\\frac{2}{5}', '⅙': '\\frac{1}{6}', '⅛': '\\frac{1}{8}', '⅜': '\\frac{3}{8}' },
  ...{ α: '\\alpha ', β: '\\beta ', γ: '\\gamma ', δ: '\\delta ', ε: '\\epsilon ', ζ: '\\zeta ', η: '\\eta ' },
  ...{ θ: '\\theta ', κ: '\\kappa ', λ: '\\lambda ', μ: '\\mu ', µ: '\\mu ', ν: '\\nu ', ξ: '\\xi ', π: '\\pi ' },
  ...{ ρ: '\\rho ', σ: '\\sigma ', τ: '\\tau ', φ: '\\phi ', ϕ: '\\phi ', χ: '\\chi ', ψ: '\\psi ', ω: '\\omega ' },
  ...{ Γ: '\\Gamma ', Δ: '\\Delta ', Θ: '\\Theta ', Λ: '\\Lambda ', Σ: '\\Sigma ', Φ: '\\Phi ', Ω: '\\Omega ' },
};

function unicodeToLatex(text: string): string {
  if (!/[^\x20-\x7e]/.test(text)) return text;
  return text
    .replace(new RegExp(`[${SUPERSCRIPTS}]+`, 'g'), (run) => `^{${translate(run, SUPERSCRIPTS, SUPERSCRIPT_VALUES)}}`)
    .replace(new RegExp(`[${SUBSCRIPTS}]+`, 'g'), (run) => `_{${translate(run, SUBSCRIPTS, SUBSCRIPT_VALUES)}}`)
    .replace(/[^\x20-\x7e]/gu, (character) => SYMBOLS[character] ?? character)
    .normalize('NFKC') // full-width digits, letters and commas; thin and no-break spaces
    .replace(/[\u200b-\u200f\u2060\ufeff]/g, ''); // invisible characters
}

function translate(run: string, from: string, to: string): string {
  return [...run].map((character) => to[from.indexOf(character)]).join('');
}

/**
 * The content of the last `\boxed{…}`; of all of them, with what stands between, where the answer begins with one
 * ("\boxed{7} and \boxed{11}"). A box whose brace never closes is left as it is.
 */
function boxedContent(text: string): string {
  const boxes = [...text.matchAll(/\\(?:boxed|fbox)\s*\{/g)].slice(-MAX_BOXES).map((match) => {
    const open = match.index + match[0].length - 1;
    return { start: match.index, open, end: closingBrace(text, open) };
  });
  const last = boxes.at(-1);
  if (!last || boxes.some(({ end }) => end < 0)) return text;
  if (boxes.length === 1 || !/^[\s$]*\\(?:boxed|fbox)/.test(text)) return text.slice(last.open + 1, last.end);
  let result = '';
  let from = 0;
  for (const { start, open, end } of boxes) {
    if (start < from) return text.slice(last.open + 1, last.end);
    result += text.slice(from, start) + text.slice(open + 1, end);
    from = end + 1;
  }
  return result + text.slice(from);
}

/** Boxes looked at; finding where each closes reads the rest of the text. */
const MAX_BOXES = 16;

/**
 * `\(…\)`, `\[…\]` and `$…$` become spaces. An odd number of bare dollars means money, and so stays: "$5".
 * The alternatives keep an escaped `\$`, and the line break `\\` before a bracket, whole.
 */
function withoutMathDelimiters(text: string): string {
  const bareDollars = text.match(/\\.|\$+/gs)?.filter((match) => match.startsWith('$')).length ?? 0;
  const dollar = bareDollars % 2 === 0 ? ' ' : '\\$';
  return text.replace(/\\[()[\]]|\\.|\$+/gs, (match) => {
    if (match.startsWith('$')) return dollar;
    return /^\\[()[\]]$/.test(match) ? ' ' : match;
  });
}
