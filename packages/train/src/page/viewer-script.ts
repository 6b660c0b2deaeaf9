import { readFile } from 'node:fs/promises';

/** Also where this file runs as TypeScript, in tests. */
const COMPILED = new URL('../../dist/page/viewer/', import.meta.url);

/** Modules of the viewer, each after those that it imports. */
const MODULES = ['element', 'blocks', 'choose', 'list', 'trace-view', 'panes', 'main'] as const;

/**
 * The program of the trace viewer as one script. Its modules rename nothing that they import and share no name at the
 * top, so that they can stand one after the other with their import and export words left out.
 */
export async function readViewerScript(): Promise<string> {
  const sources = await Promise.all(MODULES.map((name) => readFile(new URL(`${name}.js`, COMPILED), 'utf8')));
  const joined = sources
    .join('')
    .replace(/^import [^;]*;\n/gm, '')
    .replace(/^export (?=(async )?function|const)/gm, '');
  return `'use strict';\n{\n${joined}}\n`;
}
