/**
 * Drives a headless Chromium over the pipe of its debugging protocol (https://chromedevtools.github.io/devtools-protocol),
 * for tests and benchmarks of the HTML pages. SCORER_CHROMIUM names the program, else it is looked for in the usual places.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Debian's /usr/bin/chromium is a script that does not hand the pipe on. */
const PLACES = [
  '/usr/lib/chromium/chromium',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];

/** Path of the program; undefined where there is none. */
export const chromium = process.env.SCORER_CHROMIUM ?? PLACES.find(existsSync);

/** A page that takes longer than this to do what it is asked has failed. */
const WAIT_MS = 60_000;

/**
 * Starts a browser with one empty page.
 * @param {{ width?: number, height?: number, dark?: boolean }} [options]
 */
export async function openBrowser({ width = 1300, height = 900, dark = false } = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'chromium-'));
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--no-first-run'];
  const child = spawn(chromium, [...flags, '--remote-debugging-pipe', `--user-data-dir=${profile}`], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const connection = connect(child.stdio[3], child.stdio[4]);
  const { targetId } = await connection.send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await connection.send('Target.attachToTarget', { targetId, flatten: true });
  const send = (method, params) => connection.send(method, params, sessionId);
  await send('Page.enable');
  await send('Runtime.enable');
  await send('Network.enable');
  await send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
  const features = [{ name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' }];
  await send('Emulation.setEmulatedMedia', { features });

  /** The value of an expression in the page; waits for a promise. */
  async function evaluate(expression) {
    const { result, exceptionDetails } = await send('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  return {
    send,
    evaluate,
    /** What the browser has told: requests, dialogs, exceptions, console messages. */
    events: connection.events,
    /** Opens a file and waits until its load event is over. */
    async open(path) {
      const loaded = connection.next('Page.loadEventFired');
      await send('Page.navigate', { url: pathToFileURL(path).href });
      await loaded;
    },
    /** Waits until an expression is true in the page. */
    async waitFor(expression) {
      const startedAt = performance.now();
      while (!(await evaluate(`Boolean(${expression})`))) {
        if (performance.now() - startedAt > WAIT_MS) throw new Error(`never came true: ${expression}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    /** Presses a key, named as in KeyboardEvent.key. */
    async press(key) {
      const text = key.length === 1 ? key : undefined;
      const codes = {
        Enter: 13,
        Escape: 27,
        Tab: 9,
        ArrowUp: 38,
        ArrowDown: 40,
        ArrowLeft: 37,
        ArrowRight: 39,
        End: 35,
        Home: 36,
      };
      const event = { key, code: key, windowsVirtualKeyCode: codes[key] ?? key.toUpperCase().charCodeAt(0) };
      await send('Input.dispatchKeyEvent', { type: 'keyDown', ...event, ...(text && { text }) });
      await send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
    },
    /** The events that the browser traces while `work` runs: timeline, loading and marks. */
    async trace(work) {
      const events = [];
      connection.on('Tracing.dataCollected', ({ value }) => events.push(...value));
      const categories = 'devtools.timeline,disabled-by-default-devtools.timeline,loading,blink.user_timing';
      await connection.send('Tracing.start', {
        transferMode: 'ReportEvents',
        traceConfig: { includedCategories: categories.split(',') },
      });
      await work();
      const complete = connection.next('Tracing.tracingComplete');
      await connection.send('Tracing.end');
      await complete;
      return events;
    },
    type: (text) => send('Input.insertText', { text }),
    async screenshot(path, options = {}) {
      const { data } = await send('Page.captureScreenshot', { format: 'png', ...options });
      writeFileSync(path, Buffer.from(data, 'base64'));
    },
    async close() {
      await connection.send('Browser.close').catch(() => {});
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Messages are JSON, each ended by a zero byte. */
function connect(output, input) {
  const waiting = new Map();
  const listeners = new Map();
  const events = [];
  let lastId = 0;
  let rest = '';

  input.setEncoding('utf8');
  input.on('data', (chunk) => {
    const messages = (rest + chunk).split('\0');
    rest = messages.pop();
    for (const message of messages) receive(JSON.parse(message));
  });
  input.on('close', () => {
    for (const { reject } of waiting.values()) reject(new Error('the browser has gone'));
  });

  function receive({ id, result, error, method, params }) {
    if (id !== undefined) {
      const { resolve, reject } = waiting.get(id);
      waiting.delete(id);
      if (error) reject(new Error(error.message));
      else resolve(result);
      return;
    }
    events.push({ method, params });
    for (const listener of listeners.get(method) ?? []) listener(params);
  }

  function on(method, listener) {
    listeners.set(method, [...(listeners.get(method) ?? []), listener]);
  }

  return {
    events,
    send(method, params = {}, sessionId = undefined) {
      lastId += 1;
      const id = lastId;
      output.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
      return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
    },
    on,
    /** The next event of a kind. */
    next: (method) => new Promise((resolve) => on(method, resolve)),
  };
}
