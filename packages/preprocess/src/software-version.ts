import { readFileSync } from 'node:fs';

/** Name and version of this package: another version may make other outputs of the same input. */
export function softwareVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const { name, version } = manifest as { name: string; version: string };
  return `${name} ${version}`;
}
