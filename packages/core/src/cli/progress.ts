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
  /**
   * What the time goes by, where that is something else: traces are done, and tokens take the time. Its rate is the
   * caller's, who knows when the work began.
   */
  work?: { done: number; total: number; unit: string; perSecond: number };
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
  let stage: Stage | undefined;

  const show = (progress: Progress): void => {
    const { done, total } = progress.work ?? progress;
    if (progress.stage !== stage?.name) {
      stage = startStage(progress);
      bars ??= new MultiBar({ stream, format: '{stage} {bar} {text}', hideCursor: true }, Presets.shades_classic);
      bar = bars.create(total ?? 0, 0, { stage: stage.name, text: '' });
    }
    if (total !== undefined) bar?.setTotal(total);
    const { rate, left } = paceOf(progress, stage);
    bar?.update(done, { text: [countsOf(progress), rate, left].filter(Boolean).join(' · ') });
  };
  const line = (text: string): void => {
    if (bars) bars.log(`${text}\n`);
    else stream.write(`${text}\n`);
  };
  return { show, line, close: () => bars?.stop() };
}

function plainDisplay(stream: NodeJS.WriteStream): ProgressDisplay {
  const show = nowAndThen((progress, stage) => {
    const { rate, left } = paceOf(progress, stage);
    const pace = [rate, left].filter(Boolean).join(', ');
    stream.write(`${progress.stage}: ${countsOf(progress)}${pace && ` (${pace})`}\n`);
  });
  return { show, line: (text) => stream.write(`${text}\n`), close: () => {} };
}

/** As often as plain lines come, and once at the end of a stage, of which a coarse unit may tell many times. */
export function nowAndThen(show: (progress: Progress, stage: Stage) => void): OnProgress {
  let stage: Stage | undefined;
  let lastShownAt = 0;
  let endIsShown = false;
  return (progress) => {
    const now = performance.now();
    if (progress.stage !== stage?.name) {
      stage = startStage(progress);
      lastShownAt = now;
      endIsShown = false;
    }
    const finished = progress.done === progress.total;
    if (finished ? endIsShown : now - lastShownAt < PLAIN_INTERVAL_MS) return;
    lastShownAt = now;
    endIsShown = finished;
    show(progress, stage);
  };
}

/** Where the rate of a stage is counted from. */
interface Stage {
  name: string;
  startedAt: number;
  /** What was done when it was first told of. */
  done: number;
}

function startStage({ stage, done }: Progress): Stage {
  return { name: stage, startedAt: performance.now(), done };
}

/** `12/40 traces, 5100/20000 tokens` */
function countsOf({ work, ...progress }: Progress): string {
  return [progress, ...(work ? [work] : [])]
    .map(({ done, total, unit }) => `${done}${total === undefined ? '' : `/${total}`} ${unit}`)
    .join(', ');
}

/** Empty where it can't be told yet, or any more. */
function paceOf({ work, ...progress }: Progress, stage: Stage): { rate: string; left: string } {
  const { done, total = done } = work ?? progress;
  const seconds = (performance.now() - stage.startedAt) / 1000;
  const perSecond = work?.perSecond ?? (done - stage.done) / seconds;
  if (!(perSecond > 0 && Number.isFinite(perSecond))) return { rate: '', left: '' };
  const rate = perSecond >= 10 ? perSecond.toFixed(0) : perSecond.toFixed(1);
  return {
    rate: work ? `${rate} ${work.unit}/s` : `${rate}/s`,
    left: done < total ? `${duration((total - done) / perSecond)} left` : '',
  };
}

/** `40 s`, `12 min`, `3 h 5 min` */
function duration(seconds: number): string {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
