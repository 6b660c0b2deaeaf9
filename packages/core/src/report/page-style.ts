/** The page's style sheet. Surfaces and ink are those of theme.ts, so that charts and page look as one. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --surface: #ffffff; --ink: #1b1f24; --muted: #5c6570; --line: #dfe3e8; --accent: #0072b2;
  --warn-surface: #fff6ec; --warn-line: #d55e00;
  --right: #0072b2; --wrong: #d55e00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1115; --surface: #161a20; --ink: #e8ebef; --muted: #9aa4b0; --line: #2b323b; --accent: #56b4e9;
    --warn-surface: #2a1d12; --warn-line: #f0904a;
    --right: #56b4e9; --wrong: #f0904a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.5 Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  -webkit-text-size-adjust: 100%;
}
main { max-width: 1160px; margin: 0 auto; padding: 40px 24px 64px; }
h1, h2, h3, p { margin: 0; }
h1 { font-size: 32px; line-height: 1.2; letter-spacing: -0.015em; overflow-wrap: anywhere; }
h2 { font-size: 20px; letter-spacing: -0.01em; margin: 44px 0 14px; }
h3 { font-size: 15px; }
figure h3 { padding-right: 60px; }
.kind { color: var(--accent); font-size: 14px; font-weight: 600; margin-bottom: 4px; }
.lead, .note { color: var(--muted); }
.lead { margin-top: 8px; overflow-wrap: anywhere; }
.note { font-size: 14px; margin-top: 12px; }
.card { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px; min-width: 0; }
.warning { background: var(--warn-surface); border: 1px solid var(--warn-line); border-left-width: 6px; margin-top: 24px; }
.tiles { display: grid; grid-template-columns: repeat(6, 1fr); gap: 12px; margin-top: 28px; }
.tile { padding: 14px 16px; }
.tile .label { color: var(--muted); font-size: 14px; }
.tile .value { font-size: 28px; font-weight: 600; line-height: 1.25; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }
.tile .baseline { color: var(--muted); font-size: 12.5px; line-height: 1.35; margin-top: 4px; }
.charts { display: grid; gap: 16px; }
.charts.two { grid-template-columns: repeat(2, 1fr); }
.charts.three { grid-template-columns: repeat(3, 1fr); }
figure { margin: 0; display: flex; flex-direction: column; }
figcaption { color: var(--muted); font-size: 13.5px; margin-top: auto; padding-top: 8px; }
.chart { height: 330px; margin: 12px -8px 0; }
.chart .modebar-container { top: -37px !important; right: 4px !important; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 7px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { color: var(--muted); font-size: 14px; font-weight: 500; white-space: normal; vertical-align: bottom; }
tbody th { font-weight: 500; }
tr.best { font-weight: 600; color: var(--accent); }
dl { margin: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(230px, 45%), 1fr)); gap: 14px 24px; }
dt { color: var(--muted); font-size: 13.5px; }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
details { margin-top: 16px; }
summary { cursor: pointer; font-weight: 600; }
summary + * { margin-top: 12px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 4px; }
@media (max-width: 980px) {
  .tiles { grid-template-columns: repeat(3, 1fr); }
  .charts.two, .charts.three { grid-template-columns: 1fr; }
}
@media (max-width: 560px) {
  main { padding: 24px 14px 48px; }
  h1 { font-size: 26px; }
  .tiles { grid-template-columns: repeat(2, 1fr); gap: 10px; }
  .card { padding: 14px; }
  .chart { height: 290px; }
  th, td { padding: 7px 5px; font-size: 14px; white-space: normal; }
}
@media print {
  .card { break-inside: avoid; }
}
`;
