import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { ScorerError } from '@scorer/core/errors';
import type { Rectangle, SVGElement } from 'jsdom';
import type { Figure } from './chart-style.js';

const require = createRequire(import.meta.url);

/** The only fonts that a picture is drawn with: the same on every machine, also on one that has none. */
const FONT = {
  loadSystemFonts: false,
  defaultFontFamily: 'Inter',
  fontFiles: [
    require.resolve('@expo-google-fonts/inter/400Regular/Inter_400Regular.ttf'),
    require.resolve('@expo-google-fonts/inter/600SemiBold/Inter_600SemiBold.ttf'),
  ],
};

/** Ascent and descent of Inter and plotly's line spacing, in em. */
const ASCENT = 0.969;
const DESCENT = 0.241;
const LINE_SPACING = 1.3;

/** Pixels of the picture for one of the figure's: text stays crisp on dense screens and in print. */
const RESOLUTION = 2;

/** Plotly's official bundle of scatter and bar charts, minified: 1.2 MB, where the whole library is 4.8 MB. */
export function readPlotlySource(): Promise<string> {
  return readFile(require.resolve('plotly.js-basic-dist-min'), 'utf8');
}

export interface PngRenderer {
  /** A PNG of twice `width` × `height` pixels; equal bytes for equal figures. */
  render(figure: Figure, size: { width: number; height: number }): Promise<Uint8Array>;
  close(): void;
}

/**
 * Draws plotly figures without a browser: plotly lays them out in a DOM of their own (jsdom runs it in its own realm, so
 * that no global of this process is set) and resvg turns the SVG into pixels. Opening takes about half a second.
 * @throws ScorerError `PNG_RENDERER_MISSING` where resvg has no binary for this platform or was installed without it.
 */
export async function openPngRenderer(plotlySource: string): Promise<PngRenderer> {
  const [{ JSDOM, VirtualConsole }, { Resvg }] = await Promise.all([
    import('jsdom'),
    import('@resvg/resvg-js').catch(rendererMissing),
  ]);
  // A virtual console that no one listens to: what plotly and jsdom say there is meant for a page's author.
  const { window } = new JSDOM('', { runScripts: 'outside-only', virtualConsole: new VirtualConsole() });

  // jsdom computes no layout, and plotly asks only for the boxes of texts: resvg, which draws them, knows those.
  const serializer = new window.XMLSerializer();
  function boxOf(this: SVGElement): Rectangle {
    const svg = `<svg xmlns="http://www.w3.org/2000/svg">${serializer.serializeToString(this)}</svg>`;
    const ink = new Resvg(svg, { font: FONT }).getBBox() ?? NO_INK;
    const { y, height } = this.tagName === 'text' ? lineExtent(this) : ink;
    return rectangle(ink.x, y, ink.width, height);
  }
  window.SVGElement.prototype.getBBox = boxOf;
  window.SVGElement.prototype.getBoundingClientRect = boxOf;
  window.eval(plotlySource);

  return {
    async render(figure, { width, height }) {
      const settings = { format: 'svg', width, height, imageDataOnly: true };
      const call = `Plotly.toImage(${JSON.stringify(figure)}, ${JSON.stringify(settings)})`;
      const svg = (await window.eval(call)) as string;
      const picture = new Resvg(svg, { font: FONT, fitTo: { mode: 'zoom', value: RESOLUTION } });
      return picture.render().asPng();
    },
    close: () => window.close(),
  };
}

const NO_INK = { x: 0, y: 0, width: 0, height: 0 };

/** Top and height of a text as a browser has them: those of its lines, whatever letters stand in them. */
function lineExtent(text: SVGElement): { y: number; height: number } {
  const fontSize = Number.parseFloat(text.style.fontSize);
  const lines = Math.max(text.querySelectorAll('tspan.line').length, 1);
  return {
    y: Number(text.getAttribute('y')) - ASCENT * fontSize,
    height: (ASCENT + DESCENT + (lines - 1) * LINE_SPACING) * fontSize,
  };
}

function rectangle(x: number, y: number, width: number, height: number): Rectangle {
  return { x, y, width, height, left: x, top: y, right: x + width, bottom: y + height };
}

function rendererMissing(cause: unknown): never {
  throw new ScorerError({
    code: 'PNG_RENDERER_MISSING',
    kind: 'usage',
    what: 'no picture can be drawn: the binary of @resvg/resvg-js does not load',
    where: `${process.platform}-${process.arch}`,
    hint: 'install without --omit=optional',
    cause,
  });
}
