import { readFileSync } from 'node:fs';
import pc from 'picocolors';
import yargs, { type Argv } from 'yargs';
import { hideBin } from 'yargs/helpers';
import type { ScorerError } from '../errors/index.js';
import { describeFailure, EXIT } from './exit.js';
import { normaliseFlags, toKebabCase } from './options.js';
import { createProgressDisplay, nowAndThen, type OnProgress, type ProgressDisplay } from './progress.js';
import { usageError, type Vocabulary } from './usage.js';

export interface Log {
  info(message: string): void;
  warn(message: string): void;
}

/** What a command is given beside its options. */
export interface CommandContext {
  /** Aborted by the first SIGINT or SIGTERM; the command then stops cleanly. */
  signal: AbortSignal;
  /** To stderr; silent with `--quiet`, warnings excepted. */
  log: Log;
  onProgress: OnProgress;
  /** Takes the events of a command that has some. */
  onEvent: (event: object) => void;
}

/** A command's result, printed once on stdout: `json` with `--json`, else `text`. */
export interface CommandResult {
  json: object;
  text: string;
  /** Thrown once the result is printed, for a command that has both to say: what it found, and that it is not good. */
  failure?: ScorerError | undefined;
}

/** A flag as yargs takes it; typed here, so that who imports this needs no types of yargs. */
export interface Flag {
  type?: 'string' | 'number' | 'boolean';
  describe: string;
  default?: unknown;
  /** Shown as the default in the help, where the option itself stays undefined. */
  defaultDescription?: string;
  demandOption?: boolean;
  choices?: readonly string[];
  /** Several values; all of a repeated flag. */
  array?: boolean;
  alias?: string;
}

export interface Command {
  name: string;
  describe: string;
  /** Runs when no command is named. */
  isDefault?: boolean;
  /** Keys in kebab-case. */
  options: Record<string, Flag>;
  positionals?: readonly { name: string; describe: string; array?: true }[];
  examples?: readonly (readonly [command: string, explanation: string])[];
  /**
   * It tells its events. With `--json`, where stderr is no terminal, they stand there as one JSON object a line, and so do
   * progress, notes and warnings. What ends the command is a line `error[CODE]: …` all the same.
   */
  hasEvents?: true;
  run(args: Readonly<Record<string, unknown>>, context: CommandContext): Promise<CommandResult>;
}

export interface Program {
  name: string;
  describe: string;
  /** `import.meta.url` of the package's cli file, one folder below its package.json. */
  packageUrl: string;
  commands: readonly Command[];
}

const COMMON_OPTIONS: Record<string, Flag> = {
  json: { type: 'boolean', default: false, describe: 'Print the result as one JSON object' },
  quiet: { type: 'boolean', default: false, describe: 'No progress, no notes' },
  verbose: { type: 'boolean', default: false, describe: 'Print the stack of an error' },
};

const EVENT_OPTIONS: Record<string, Flag> = {
  json: { ...COMMON_OPTIONS.json, describe: 'Print the result as one JSON object, and events on stderr' },
};

/** Runs the command line of this process to its end and sets `process.exitCode` (see `EXIT`). */
export async function runCli(program: Program): Promise<void> {
  // A reader such as `head` may close the pipe early; that is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  process.exitCode = await execute(program, normaliseFlags(hideBin(process.argv)));
}

async function execute(program: Program, argv: string[]): Promise<number> {
  const stop = stopOnSignal();
  const verbose = argv.includes('--verbose');
  try {
    await parser(program, argv, stop.signal).parseAsync();
    return EXIT.done;
  } catch (thrown) {
    if (stop.exitCode !== undefined) {
      process.stderr.write('stopped; the same command run again goes on from here\n');
      return stop.exitCode;
    }
    const { exitCode, line } = describeFailure(thrown);
    process.stderr.write(`${line}\n`);
    if (verbose && thrown instanceof Error) process.stderr.write(`${thrown.stack}\n`);
    return exitCode;
  } finally {
    stop.dispose();
  }
}

function parser(program: Program, argv: string[], signal: AbortSignal): Argv {
  let chosen: Command | undefined;
  const initial = yargs(argv)
    .scriptName(program.name)
    .usage(`$0 [command]\n\n${program.describe}`)
    .options(COMMON_OPTIONS)
    .version(packageVersion(program.packageUrl))
    .alias({ help: 'h', version: 'v' })
    // yargs' own heading, of what stands under no other one.
    .updateStrings({ 'Options:': 'For every command:' })
    .wrap(Math.min(process.stdout.columns ?? 100, 100))
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? usageError(message, argv, vocabulary(program, chosen));
    });
  const choose = (command: Command): void => {
    chosen = command;
  };
  const complete = program.commands.reduce((cli, command) => addCommand(cli, command, { signal, choose }), initial);
  const hasDefault = program.commands.some((command) => command.isDefault);
  return hasDefault ? complete : complete.demandCommand(1, 'a command is needed');
}

function vocabulary({ commands }: Program, chosen: Command | undefined): Vocabulary {
  const { options, positionals = [] } = chosen ?? { options: {} };
  const aliases = Object.values(options).flatMap(({ alias = [] }) => alias);
  return {
    commands: commands.map(({ name }) => name),
    flags: [...Object.keys({ ...options, ...COMMON_OPTIONS }), ...aliases, 'help', 'version'],
    positionals: positionals.map(({ name }) => name),
  };
}

/** @param choose told which command it is, before its arguments are looked at */
function addCommand(
  cli: Argv,
  command: Command,
  { signal, choose }: { signal: AbortSignal; choose: (command: Command) => void },
): Argv {
  const positionals = command.positionals ?? [];
  const usage = positionals.map(({ name, array }) => (array ? `<${name}..>` : `<${name}>`));
  const names = [[command.name, ...usage].join(' '), ...(command.isDefault ? ['$0'] : [])];
  return cli.command(
    names,
    command.describe,
    (builder) => {
      choose(command);
      for (const { name, describe, array } of positionals) {
        builder.positional(name, { describe, type: 'string', ...(array && { array, default: undefined }) });
      }
      return builder
        .options(command.options)
        .group(Object.keys(command.options), 'Options:')
        .options(command.hasEvents ? EVENT_OPTIONS : {})
        .example((command.examples ?? []).map(([text, why]) => [text, why]));
    },
    async (args) => {
      const wantsEvents = Boolean(command.hasEvents && args.json && !args.quiet && !process.stderr.isTTY);
      const display = args.quiet || wantsEvents ? undefined : createProgressDisplay(process.stderr);
      try {
        const result = await command.run(lastOfRepeated(args, command), {
          signal,
          log: wantsEvents ? eventLog : createLog(display),
          onProgress: wantsEvents ? progressEvents() : (display?.show ?? ignore),
          onEvent: wantsEvents ? writeEvent : ignore,
        });
        display?.close();
        process.stdout.write(`${args.json ? JSON.stringify(result.json) : result.text}\n`);
        if (result.failure) throw result.failure;
      } finally {
        display?.close();
      }
    },
  );
}

/** A flag given twice means its last value, so that a script can append to a command; lists collect all of theirs. */
function lastOfRepeated(args: object, { options, positionals = [] }: Command): Record<string, unknown> {
  const lists = new Set([
    ...Object.keys(options).filter((key) => options[key]!.array),
    ...positionals.filter(({ array }) => array).map(({ name }) => name),
  ]);
  return Object.fromEntries(
    Object.entries(args).map(([key, value]) => {
      const isList = lists.has(key) || lists.has(toKebabCase(key));
      return [key, Array.isArray(value) && !isList ? value.at(-1) : value];
    }),
  );
}

function createLog(display: ProgressDisplay | undefined): Log {
  const { yellow } = pc.createColors(Boolean(process.stderr.isTTY) && pc.isColorSupported);
  const write = display?.line ?? ((text: string) => void process.stderr.write(`${text}\n`));
  return {
    info: (message) => display?.line(message),
    warn: (message) => write(`${yellow('warning')}: ${message}`),
  };
}

const eventLog: Log = {
  info: (message) => writeEvent({ event: 'note', message }),
  warn: (message) => writeEvent({ event: 'warning', message }),
};

function progressEvents(): OnProgress {
  return nowAndThen((progress) => writeEvent({ event: 'progress', ...progress }));
}

function writeEvent(event: object): void {
  process.stderr.write(`${JSON.stringify(event)}\n`);
}

/** GNU timeout and npx send a signal on that has reached the whole process group already. */
const ECHO_MS = 1_000;

/** The first signal asks for a clean stop; one that comes later, and is no echo of it, ends the process at once. */
function stopOnSignal(): { signal: AbortSignal; readonly exitCode: number | undefined; dispose(): void } {
  const controller = new AbortController();
  let first: { exitCode: number; at: number } | undefined;
  const on = (name: 'SIGINT' | 'SIGTERM', exitCode: number) => (): void => {
    const at = performance.now();
    if (!first) {
      first = { exitCode, at };
      controller.abort();
    } else if (at - first.at > ECHO_MS) {
      // As without a handler: an exit takes the inference thread down in the middle of a run, which aborts (134).
      dispose();
      process.kill(process.pid, name);
    }
  };
  const onInterrupt = on('SIGINT', EXIT.interrupted);
  const onTerminate = on('SIGTERM', EXIT.terminated);
  const dispose = (): void => void process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate);
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate);
  return {
    signal: controller.signal,
    get exitCode() {
      return first?.exitCode;
    },
    dispose,
  };
}

function packageVersion(packageUrl: string): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', packageUrl), 'utf8'));
  return String((manifest as { version: unknown }).version);
}

function ignore(): void {}
