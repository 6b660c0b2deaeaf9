import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openShard } from '@scorer/core/shards';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { extract } from '../run/extract.js';
import { loadModel } from './load-model.js';

/** Served as org/model. */
const MODEL = fileURLToPath(new URL('../../../../apps/demo/data/model', import.meta.url));
const STEPS = fileURLToPath(new URL('../run/fixtures/steps.jsonl', import.meta.url));
const COMMIT = '0123456789abcdef0123456789abcdef01234567';

let cache: string;
let server: Server;
let served: Map<string, Buffer>;
let downloads: string[];

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'hub-'));
  downloads = [];
  served = new Map();
  for (const name of await readdir(MODEL)) served.set(name, await readFile(join(MODEL, name)));
  server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://hub').pathname);
    if (path.startsWith('/api/models/org/model/revision/')) {
      const siblings = [...served.keys()].map((rfilename) => ({ rfilename }));
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ _id: '1', id: 'org/model', sha: COMMIT, siblings }));
      return;
    }
    const name = path.replace(`/org/model/resolve/${COMMIT}/`, '');
    const content = served.get(name);
    if (!content) {
      response.writeHead(404).end();
      return;
    }
    const [, first = '0', last] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '') ?? [];
    const end = last ? Number(last) + 1 : content.length;
    if (end > 1) downloads.push(name);
    response.writeHead(206, {
      etag: `"${createHash('sha256').update(content).digest('hex')}"`,
      'content-range': `bytes ${first}-${end - 1}/${content.length}`,
    });
    response.end(content.subarray(Number(first), end));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  for (const name of ['HF_HOME', 'HUGGINGFACE_HUB_CACHE', 'HF_HUB_OFFLINE', 'HF_TOKEN']) vi.stubEnv(name, '');
  vi.stubEnv('HF_TOKEN_PATH', join(cache, 'no-token'));
  vi.stubEnv('HF_HUB_CACHE', cache);
  vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(cache, { recursive: true });
});

describe('a model by its hub id', () => {
  test('is fetched with config, weights and tokenizer, and gives the states and the fingerprint of its folder', async () => {
    const options = { inputPath: STEPS, device: 'cpu' } as const;
    const local = await extract({ ...options, model: MODEL, outputPath: join(cache, 'a', 'x') });
    const fetched = await extract({ ...options, model: 'org/model', outputPath: join(cache, 'b', 'x') });
    const [a, b] = await Promise.all([local, fetched].map(({ shards }) => openShard(shards[0]!.path)));
    expect(b!.metadata).toEqual({ ...a!.metadata, model: 'model' });
    expect(await b!.readRows(5, 0, b!.stepCount)).toEqual(await a!.readRows(5, 0, a!.stepCount));
    await Promise.all([a!.close(), b!.close()]);

    expect(downloads).toContain('model.safetensors');
    downloads = [];
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect((await loadModel('org/model')).name).toBe('model');
    expect(downloads).toEqual([]);
  });

  test('with an index is fetched file by file', async () => {
    const files = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    const whole = served.get('model.safetensors')!;
    served.delete('model.safetensors');
    const names = Object.keys(headerOf(whole)).filter((name) => name !== '__metadata__');
    const map = Object.fromEntries(names.map((name, i) => [name, files[i % 2]!]));
    for (const file of files) served.set(file, whole);
    served.set('model.safetensors.index.json', Buffer.from(JSON.stringify({ metadata: {}, weight_map: map })));
    const { weights } = await loadModel('org/model');
    expect(weights.files.map(({ name }) => name)).toEqual(files);
    expect([...weights.tensors.keys()].sort()).toEqual(names.sort());
  });

  test('of an architecture that is not supported is refused before its weights are fetched', async () => {
    served.set('config.json', Buffer.from(JSON.stringify({ architectures: ['MambaForCausalLM'] })));
    await expect(loadModel('org/model')).rejects.toMatchObject({ code: 'UNSUPPORTED_ARCHITECTURE' });
    expect(downloads).not.toContain('model.safetensors');
  });

  test('that is neither there nor allowed to be fetched gives an error that says what to do', async () => {
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await expect(loadModel('org/model')).rejects.toMatchObject({ code: 'HUB_OFFLINE' });
    vi.stubEnv('HF_HUB_OFFLINE', '');
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:9');
    await expect(loadModel('org/model')).rejects.toMatchObject({ code: 'HUB_UNREACHABLE', kind: 'retryable' });
    await expect(loadModel('no/such/folder')).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });
});

function headerOf(safetensors: Buffer): object {
  return JSON.parse(safetensors.toString('utf8', 8, 8 + Number(safetensors.readBigUInt64LE(0))));
}
