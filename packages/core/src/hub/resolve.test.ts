import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { resolveModelFolder } from './index.js';

const COMMIT = '0123456789abcdef0123456789abcdef01234567';
const FILES = { required: ['tokenizer.json'], optional: ['chat_template.jinja'] };

/** What the hub serves: a small file by its git hash, a large one by its SHA-256. */
const served: Record<string, string> = { 'tokenizer.json': '{"model": {}}', 'weights.bin': 'w'.repeat(100_000) };

let cache: string;
let server: Server;
let requests: IncomingMessage[];
/** Stands in for the hub's answer, where it is set. */
let answer: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'scorer-hub-'));
  requests = [];
  answer = undefined;
  server = createServer((request, response) => {
    requests.push(request);
    if (!answer?.(request, response)) serve(request, response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  for (const name of ['HF_HOME', 'HUGGINGFACE_HUB_CACHE', 'HF_HUB_OFFLINE', 'HF_TOKEN']) vi.stubEnv(name, '');
  vi.stubEnv('HF_TOKEN_PATH', join(cache, 'no-token'));
  vi.stubEnv('HF_HUB_CACHE', cache);
  vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${port}/`);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(cache, { recursive: true });
});

/** The hub's two interfaces that are used: what a model has, and a range of a file. */
function serve(request: IncomingMessage, response: ServerResponse): void {
  const path = decodeURIComponent(new URL(request.url!, 'http://hub').pathname);
  if (path === '/api/models/org/model/revision/main' || path === `/api/models/org/model/revision/${COMMIT}`) {
    const siblings = Object.keys(served).map((rfilename) => ({ rfilename }));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ _id: '1', id: 'org/model', sha: COMMIT, siblings }));
    return;
  }
  const content = served[path.replace(`/org/model/resolve/${COMMIT}/`, '')];
  if (content === undefined) {
    response.writeHead(404).end();
    return;
  }
  const [, first = '0', last] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '') ?? [];
  const end = last ? Number(last) + 1 : content.length;
  response.writeHead(206, {
    etag: content.length > 1000 ? `"${createHash('sha256').update(content).digest('hex')}"` : 'W/"git-hash"',
    'content-range': `bytes ${first}-${end - 1}/${content.length}`,
  });
  response.end(content.slice(Number(first), end));
}

const model = (...path: string[]): string => join(cache, 'models--org--model', ...path);

describe('resolveModelFolder', () => {
  it('leaves paths alone', async () => {
    expect(await resolveModelFolder(cache, { files: FILES })).toBe(cache);
    expect(await resolveModelFolder('./not/there', { files: FILES })).toBe('./not/there');
    expect(requests).toEqual([]);
  });

  it("fetches a model into the cache, in the layout of Python's tools", async () => {
    const folder = await resolveModelFolder('org/model', { files: FILES });
    expect(folder).toBe(model('snapshots', COMMIT));
    expect(await readdir(folder)).toEqual(['tokenizer.json']);
    expect(await readFile(join(folder, 'tokenizer.json'), 'utf8')).toBe(served['tokenizer.json']);
    expect((await lstat(join(folder, 'tokenizer.json'))).isSymbolicLink()).toBe(true);
    expect(await readdir(model('blobs'))).toEqual(['git-hash']);
    expect(await readFile(model('refs', 'main'), 'utf8')).toBe(COMMIT);
    expect(await readdir(model('.no_exist', COMMIT))).toEqual(['chat_template.jinja']);
  });

  it('asks nobody for what is in the cache', async () => {
    await resolveModelFolder('org/model', { files: FILES });
    requests = [];
    expect(await resolveModelFolder('org/model', { files: FILES })).toBe(model('snapshots', COMMIT));
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    expect(await resolveModelFolder('org/model', { files: FILES, revision: COMMIT })).toBe(model('snapshots', COMMIT));
    expect(requests).toEqual([]);
  });

  it('fetches further files of a model that is there in part, and tells the progress', async () => {
    await resolveModelFolder('org/model', { files: FILES });
    const onProgress = vi.fn();
    const folder = await resolveModelFolder('org/model', { files: { required: ['weights.bin'] }, onProgress });
    expect((await readdir(folder)).sort()).toEqual(['tokenizer.json', 'weights.bin']);
    expect(onProgress).toHaveBeenLastCalledWith(expect.objectContaining({ done: 100_000, total: 100_000 }));
  });

  it('uses what Python has put there, without knowing of optional files', async () => {
    await mkdir(model('snapshots', COMMIT), { recursive: true });
    await mkdir(model('refs'));
    await writeFile(model('refs', 'main'), COMMIT);
    await writeFile(model('snapshots', COMMIT, 'tokenizer.json'), '{}');
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:9');
    expect(await resolveModelFolder('org/model', { files: FILES })).toBe(model('snapshots', COMMIT));
  });

  it('takes the cache of HF_HOME, and sends the token of HF_TOKEN', async () => {
    vi.stubEnv('HF_HUB_CACHE', '');
    vi.stubEnv('HF_HOME', join(cache, 'home'));
    vi.stubEnv('HF_TOKEN', 'hf_secret');
    const folder = await resolveModelFolder('org/model', { files: FILES });
    expect(folder).toBe(join(cache, 'home', 'hub', 'models--org--model', 'snapshots', COMMIT));
    expect(new Set(requests.map(({ headers }) => headers.authorization))).toEqual(new Set(['Bearer hf_secret']));
  });

  const status = (code: number) => (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(code).end();
    return true;
  };
  it.each([
    ['an unknown model', status(404), 'MODEL_NOT_FOUND', 'input'],
    ['a gated model', status(401), 'MODEL_NOT_ALLOWED', 'input'],
    ['a hub that fails', status(500), 'HUB_FAILED', 'retryable'],
  ])('says what to do about %s', async (_, theAnswer, code, kind) => {
    answer = theAnswer;
    await expect(resolveModelFolder('org/model', { files: FILES })).rejects.toMatchObject({ code, kind });
  });

  it('says that a model lacks a file, that the hub does not answer, and that it may not be asked', async () => {
    const files = { required: ['missing.json'] };
    await expect(resolveModelFolder('org/model', { files })).rejects.toMatchObject({ code: 'MODEL_FILE_MISSING' });
    vi.stubEnv('HF_ENDPOINT', 'http://127.0.0.1:9');
    const unreachable = { code: 'HUB_UNREACHABLE', kind: 'retryable' };
    await expect(resolveModelFolder('org/model', { files: FILES })).rejects.toMatchObject(unreachable);
    vi.stubEnv('HF_HUB_OFFLINE', '1');
    await expect(resolveModelFolder('org/model', { files: FILES })).rejects.toMatchObject({ code: 'HUB_OFFLINE' });
  });

  it('goes on after what arrived before the connection broke, and checks the whole', async () => {
    const files = { required: ['weights.bin'] };
    answer = (request, response) => {
      if (!request.url!.endsWith('weights.bin') || request.headers.range === 'bytes=0-0') return false;
      response.writeHead(200, { 'content-length': '100000' });
      response.write('w'.repeat(60_000), () => setImmediate(() => response.destroy()));
      return true;
    };
    await expect(resolveModelFolder('org/model', { files })).rejects.toMatchObject({ kind: 'retryable' });
    const [incomplete] = await readdir(model('blobs'));
    expect(incomplete).toMatch(/\.incomplete$/);
    const { size } = await stat(model('blobs', incomplete!));
    expect(size).toBeGreaterThan(0);

    answer = undefined;
    requests = [];
    const folder = await resolveModelFolder('org/model', { files });
    expect(requests.map(({ headers }) => headers.range)).toContain(`bytes=${size}-99999`);
    expect(await readFile(join(folder, 'weights.bin'), 'utf8')).toBe(served['weights.bin']);
    expect(await readdir(model('blobs'))).toEqual([incomplete!.replace('.incomplete', '')]);
  });

  it('keeps nothing of a file that arrives damaged or under a name that leads elsewhere', async () => {
    const files = { required: ['weights.bin'] };
    answer = (request, response) => {
      if (!request.url!.endsWith('weights.bin') || request.headers.range === 'bytes=0-0') return false;
      response.writeHead(206, { 'content-range': 'bytes 0-99999/100000' }).end('x'.repeat(100_000));
      return true;
    };
    await expect(resolveModelFolder('org/model', { files })).rejects.toMatchObject({ code: 'HUB_FAILED' });
    expect(await readdir(model('blobs'))).toEqual([]);

    answer = (request, response) => {
      if (!request.url!.endsWith('weights.bin')) return false;
      response.writeHead(206, { etag: '"../../evil"', 'content-range': 'bytes 0-0/1' }).end('x');
      return true;
    };
    await expect(resolveModelFolder('org/model', { files })).rejects.toMatchObject({ code: 'HUB_FAILED' });
    expect(await readdir(cache)).toEqual(['models--org--model']);
  });
});
