import { readFile } from 'node:fs/promises';
import { parseOptions } from '@scorer/core/cli';
import { ScorerError } from '@scorer/core/errors';
import { onFile } from '@scorer/core/files';
import { OPTION_NAMES, type TrainSettings, trainOptionsSchema } from '../options.js';

/**
 * The options of a command line that trains: flags first, then those of the file of `--config`, then the defaults.
 * @throws ScorerError `BAD_OPTION` (usage), `CONFIG_INVALID`, `FILE_NOT_FOUND`
 */
export async function readSettings(args: Readonly<Record<string, unknown>>): Promise<TrainSettings> {
  const fromFile = args.config === undefined ? {} : await readConfigFile(String(args.config));
  const given = Object.entries(args).filter(([, value]) => value !== undefined);
  return parseOptions(trainOptionsSchema, { ...fromFile, ...Object.fromEntries(given) });
}

/** All options as `--config` reads them, by the names of the flags. */
export function settingsJson(settings: TrainSettings): Record<string, unknown> {
  return Object.fromEntries(
    OPTION_NAMES.filter((name) => name in settings).map((name) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      settings[name as keyof TrainSettings],
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
