import { readFile } from 'node:fs/promises';
import { type CommandResult, parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { onFile } from '@scorer/core/files';
import { z } from 'zod';
import { OPTION_NAMES, type TrainSettings, trainOptionsSchema } from '../options.js';
import { overwriteFlag } from '../overwrite.js';

/** On the command line and in the file it is a flag. */
const flagSchema = z.object({ overwrite: overwriteFlag });

type Arguments = Readonly<Record<string, unknown>>;

/**
 * The options of a command line that trains: flags first, then those of the file of `--config`, then the defaults.
 * @throws ScorerError `BAD_OPTION` (usage), `CONFIG_INVALID`, `FILE_NOT_FOUND`
 */
export async function readSettings(args: Arguments): Promise<TrainSettings> {
  return parseSettings(await givenOptions(args));
}

/**
 * What `--print-config` prints: all options as `--config` reads them. The folder of shards may be missing, and is then
 * given beside the file.
 * @throws as `readSettings`
 */
export async function printedSettings(args: Arguments): Promise<CommandResult> {
  const given = await givenOptions(args);
  const { trainDir, ...others } = parseSettings({ trainDir: '.', ...given });
  const json = settingsJson('trainDir' in given ? { trainDir, ...others } : others);
  return { json, text: JSON.stringify(json, null, 2) };
}

async function givenOptions(args: Arguments): Promise<Record<string, unknown>> {
  const fromFile = args.config === undefined ? {} : await readConfigFile(String(args.config));
  const given = Object.entries(args).filter(([, value]) => value !== undefined);
  return { ...fromFile, ...Object.fromEntries(given) };
}

function parseSettings({ overwrite, ...options }: Record<string, unknown>): TrainSettings {
  return parseOptions(trainOptionsSchema, { ...options, overwrite: parseOptions(flagSchema, { overwrite }).overwrite });
}

/** By the names of the flags. */
function settingsJson(settings: Partial<TrainSettings>): Record<string, unknown> {
  return Object.fromEntries(
    OPTION_NAMES.filter((name) => name in settings).map((name) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      name === 'overwrite' ? settings.overwrite === 'replace' : settings[name as keyof TrainSettings],
    ]),
  );
}

async function readConfigFile(path: string): Promise<Record<string, unknown>> {
  const text = await onFile(path, () => readFile(path, 'utf8'));
  const options = parseObject(text, path);
  const named = Object.entries(options).map(([key, value]): [string, unknown] => [camelCase(key), value]);
  const unknown = named.find(([name]) => !OPTION_NAMES.includes(name));
  if (unknown) throw configInvalid(`${unknown[0]} is no option of training`, path);
  return Object.fromEntries(named);
}

function parseObject(text: string, path: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Said below, as of any other text.
  }
  throw configInvalid('it is no JSON object', path);
}

function configInvalid(what: string, where: string): ScorerError {
  const hint = '--print-config prints such a file';
  return new ScorerError({ code: 'CONFIG_INVALID', what, where, hint });
}

/** `hidden_units` and `hidden-units` → `hiddenUnits` */
function camelCase(key: string): string {
  return key.replace(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
