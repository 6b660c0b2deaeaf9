import { mkdtemp, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { modelCache } from './cache.js';

const COMMIT = '0123456789'.repeat(4);

test('processes that fetch the same model at once make the same links, and leave nothing beside them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hub-cache-'));
  const cache = modelCache(folder, 'owner/name');
  const etags = Array.from({ length: 20 }, (_, i) => `etag${i % 2}`);
  await Promise.all(etags.map((etag) => cache.link(COMMIT, 'config.json', etag)));
  expect(await readdir(cache.snapshot(COMMIT))).toEqual(['config.json']);
  expect(await readlink(join(cache.snapshot(COMMIT), 'config.json'))).toMatch(/^\.\.\/\.\.\/blobs\/etag[01]$/);
  await rm(folder, { recursive: true });
});
