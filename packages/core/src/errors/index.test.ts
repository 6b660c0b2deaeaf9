import { mkdirSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { fromSystemError, ScorerError } from './index.js';

function thrownBy(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}

test('an error of the system becomes one with a code, and keeps its own path and cause', () => {
  const cause = thrownBy(() => openSync('/missing/file', 'r'));
  expect(fromSystemError(cause)).toMatchObject({
    code: 'FILE_NOT_FOUND',
    kind: 'input',
    where: '/missing/file',
    cause,
  });
});

test('a folder that cannot be made because a file stands there is no bug', () => {
  const file = fileURLToPath(import.meta.url);
  for (const path of [file, `${file}/inside`]) {
    const cause = thrownBy(() => mkdirSync(path, { recursive: true }));
    expect(fromSystemError(cause)).toMatchObject({ code: 'NOT_A_FOLDER', kind: 'input', where: path });
  }
  const taken = thrownBy(() => openSync(file, 'wx'));
  expect(fromSystemError(taken)).toBe(taken);
});

test('what the caller knows of the place stands instead, and the error stays as it was', () => {
  const cause = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', path: 'x' });
  const error = fromSystemError(cause, 'y at byte 7');
  expect(error).toMatchObject({ code: 'DISK_FULL', kind: 'retryable', where: 'y at byte 7' });
  expect(cause.path).toBe('x');
});

test('any other value is given back', () => {
  const own = new ScorerError({ code: 'X', what: 'x' });
  for (const value of [own, new TypeError('bug'), Object.assign(new Error(), { code: 'ERR_X' }), 'text', undefined]) {
    expect(fromSystemError(value, 'here')).toBe(value);
  }
});
