// Speed of the grader: pairs a second over a truth table, and the slowest pairs of the table and of adversarial answers.
// Usage: node bench/grading.mjs [PAIRS.jsonl]      (after pnpm build; default ../shared/grading/pairs.jsonl)
// Prints one JSON line. Times are processor time, so that other work on the machine does not count; `cold` is the first
// pass of the process, before the compiler has warmed up.
import { existsSync, readFileSync } from 'node:fs';
import { grade } from '../packages/core/dist/grading/index.js';

const file = process.argv[2] ?? new URL('../../shared/grading/pairs.jsonl', import.meta.url);
const table = existsSync(file)
  ? readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  : [];

const range = (count, item) => Array.from({ length: count }, (_, k) => item(k));
const deep = (open, close, levels) => `${open.repeat(levels)}1${close.repeat(levels)}`;
const adversarial = [
  ['10^{10^{10^{10^{10}}}}', '10^{10^{10^{10^{11}}}}'],
  [deep('9^{', '}', 50), deep('8^{', '}', 50)],
  ['1600!', '1599!\\cdot 1600+1'],
  ['(((170!)!)!)!', '3'],
  ['9'.repeat(2_900), `${'9'.repeat(2_899)}8`],
  [range(140, (k) => `\\frac{1}{${10 ** 9 + k}}`).join('+'), '7'],
  [deep('(', ')', 450), '2'],
  [deep('\\frac{1}{', '}', 160), '2'],
  ['\\sum_{k=1}^{1000}\\sum_{j=1}^{1000}\\frac{1}{kj}', '1'],
  ['\\sum_{k=1}^{n}\\sum_{j=1}^{n}\\sum_{i=1}^{n}\\binom{n}{k}', 'n'],
  ['\\prod_{k=1}^{1000}(k^3+1)', '5'],
  [range(64, (k) => `\\sin ${k}x`).join(), range(64, (k) => `\\sin ${63 - k}x+0`).join()],
  [`\\{${range(64, (k) => `e^{${k}x}`).join()}\\}`, `\\{${range(64, (k) => `e^{${k}y}`).join()}\\}`],
  [range(60, (k) => `\\sqrt{${k + 2}}`).join(), range(60, (k) => `\\sqrt{${61 - k}}`).join()],
  [range(450, String).join(), range(450, (k) => `${k}.0`).join()],
  ['(x+y+z)'.repeat(120), '(z+y+x)'.repeat(120)],
  [range(70, (k) => `\\sin(${k}x+y)`).join('+'), range(70, (k) => `\\sin(${69 - k}x+y)`).join('+')],
  [`\\mathbb{R}\\setminus\\{${range(200, String).join()}\\}`, 'x\\ne 1'],
  [`5${' cm'.repeat(900)}`, '5'],
  ['{'.repeat(1e6), '}'.repeat(1e6)],
];

/** Milliseconds of processor time. */
const cpu = () => process.cpuUsage().user / 1e3 + process.cpuUsage().system / 1e3;
const slowest = (pairs) =>
  Math.max(
    0,
    ...pairs.map(([a, b]) => {
      const start = cpu();
      grade(a, b);
      return cpu() - start;
    }),
  );
const round = (ms) => Math.round(ms * 10) / 10;

const pairs = table.map(({ a, b }) => [a, b]);
const cold = { table: slowest(pairs), adversarial: slowest(adversarial) };
const REPEATS = 20;
const start = cpu();
let right = 0;
for (let pass = 0; pass < REPEATS; pass++) {
  right = 0;
  for (const { a, b, equal } of table) if (grade(a, b).equal === equal) right++;
}
const milliseconds = cpu() - start;
console.log(
  JSON.stringify({
    pairs: table.length,
    right,
    pairs_per_second: Math.round((REPEATS * table.length * 1e3) / milliseconds),
    slowest_ms: {
      table_cold: round(cold.table),
      table: round(slowest(pairs)),
      adversarial_cold: round(cold.adversarial),
      adversarial: round(slowest(adversarial)),
    },
  }),
);
