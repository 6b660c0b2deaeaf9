import { MultiBar, Presets, type SingleBar } from 'cli-progress';

/** How far a long call has come; library functions report it, command lines show it. */
export interface Progress {
  /** What is being done, in the user's words: `reading traces`. A new stage starts a new bar. */
  stage: string;
  done: number;
  /** Left out where the end is not known (a pipe). */
  total?: number;
  /** What `done` counts: `traces`, `steps`, `tokens`. */
  unit: string;
}

export type OnProgress = (progress: Progress) => void;

export interface ProgressDisplay {
  show: OnProgress;
  /** Writes a line of text without tearing the bar. */
  line(text: string): void;
  close(): void;
}

/** Without a terminal a log collects these lines: often enough to see life, seldom enough to read. */
const PLAIN_INTERVAL_MS = 5_000;

/** Progress on stderr: a bar with rate and time left on a terminal, plain lines elsewhere. */
export function createProgressDisplay(stream: NodeJS.WriteStream): ProgressDisplay {
  return stream.isTTY ? barDisplay(stream) : plainDisplay(stream);
}

function barDisplay(stream: NodeJS.WriteStream): ProgressDisplay {
  let bars: MultiBar | undefined;
  let bar: SingleBar | undefined;
  let stage: string | undefined;
  let startedAt = 0;

  const show = (progress: Progress): void => {
    if (progress.stage !== stage) {
      bars ??= new MultiBar(
        { stream, format: '{stage} {bar} {value}/{total} {unit} · {rate}/s · {eta_formatted} left', hideCursor: true },
        Presets.shades_classic,
      );
      bar = bars.create(progress.total ?? 0, 0, { stage: progress.stage, unit: progress.unit, rate: 0 });
      stage = progress.stage;
      startedAt = performance.now();
    }
    if (progress.total !== undefined) bar?.setTotal(progress.total);
    bar?.update(progress.done, { unit: progress.unit, rate: rate(progress.done, startedAt) });
  };
  const line = (text: string): void => {
    if (bars) bars.log(`${text}\n`);
    else stream.write(`${text}\n`);
  };
  return { show, line, close: () => bars?.stop() };
}

function plainDisplay(stream: NodeJS.WriteStream): ProgressDisplay {
  let stage: string | undefined;
  let startedAt = 0;
  let lastShownAt = 0;

  const show = (progress: Progress): void => {
    const now = performance.now();
    if (progress.stage !== stage) {
      stage = progress.stage;
      startedAt = now;
      lastShownAt = now;
    }
    const finished = progress.done === progress.total;
    if (!finished && now - lastShownAt < PLAIN_INTERVAL_MS) return;
    lastShownAt = now;
    const ofTotal = progress.total === undefined ? '' : `/${progress.total}`;
    stream.write(
      `${progress.stage}: ${progress.done}${ofTotal} ${progress.unit} (${rate(progress.done, startedAt)}/s)\n`,
    );
  };
  return { show, line: (text) => stream.write(`${text}\n`), close: () => {} };
}

function rate(done: number, startedAt: number): string {
  const seconds = Math.max((performance.now() - startedAt) / 1000, 1e-3);
  const perSecond = done / seconds;
  return perSecond >= 10 ? perSecond.toFixed(0) : perSecond.toFixed(1);
}
