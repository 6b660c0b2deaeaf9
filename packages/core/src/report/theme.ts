/** Colours of one appearance of the charts; the page's own are in page-style.ts and agree with them. */
export interface Theme {
  background: string;
  ink: string;
  muted: string;
  grid: string;
  /**
   * One colour a series, in order of use. Okabe and Ito's palette, told apart with any colour vision; each has a
   * contrast of 3 or more against the background (WCAG 1.4.11), for which some are darker or lighter than theirs.
   */
  series: readonly [string, ...string[]];
  right: string;
  wrong: string;
}

export const LIGHT: Theme = {
  background: '#ffffff',
  ink: '#1b1f24',
  muted: '#5c6570',
  grid: '#e6e9ed',
  series: ['#0072b2', '#d55e00', '#008a66', '#b5588f', '#8a6d00', '#4a6fa5', '#7a4b9a', '#5c6570'],
  right: '#0072b2',
  wrong: '#d55e00',
};

export const DARK: Theme = {
  background: '#161a20',
  ink: '#e8ebef',
  muted: '#9aa4b0',
  grid: '#2b323b',
  series: ['#56b4e9', '#f0904a', '#2fc29a', '#dd93c0', '#e3c04a', '#8fb0dd', '#b791d6', '#9aa4b0'],
  right: '#56b4e9',
  wrong: '#f0904a',
};
