import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { ScorerError } from '../errors/index.js';
import { cardNumber, checkDeviceWish, type Device, type DeviceWish } from './device-name.js';
import { createGraph, encodeGraph } from './graph.js';
import { openSession } from './session.js';

/**
 * The device to run on: with `auto`, CUDA where a session opens on it, else the CPU.
 * @throws ScorerError `BAD_DEVICE` (usage); `CUDA_UNAVAILABLE` where CUDA was asked for and does not work,
 * `CUDA_CARD_MISSING` where there is no card of that number; `ONNXRUNTIME_MISSING`.
 */
export async function resolveDevice(wish: DeviceWish): Promise<Device> {
  checkDeviceWish(wish);
  if (wish === 'cpu') return 'cpu';
  const device = wish === 'auto' ? 'cuda' : wish;
  // Asking ONNX Runtime for a provider that is not installed writes to stderr, so its file is looked for first.
  if (!cudaProviderPath()) {
    if (wish === 'auto') return 'cpu';
    throw new ScorerError({
      code: 'CUDA_UNAVAILABLE',
      what: "onnxruntime-node's CUDA provider is not installed",
      where: `--device ${wish}`,
      hint: 'install it (docs/gpu.md), or use --device cpu',
    });
  }
  const missing = missingCudaLibrary();
  if (missing) {
    if (wish === 'auto') return 'cpu';
    throw new ScorerError({
      code: 'CUDA_UNAVAILABLE',
      what: `the CUDA provider needs ${missing}, which is not found on this machine`,
      where: `--device ${wish}`,
      hint: "install the driver and the libraries of the provider's CUDA version (docs/gpu.md), or use --device cpu",
    });
  }
  try {
    await tryDevice(device);
    return device;
  } catch (error) {
    const noCuda = error instanceof ScorerError && error.code === 'CUDA_UNAVAILABLE';
    if (wish === 'auto' && noCuda) return 'cpu';
    throw error;
  }
}

/** Opens and closes a session of one node on the device. @returns the runtime's name and version */
export async function tryDevice(device: Device): Promise<string> {
  const graph = createGraph('probe');
  graph.output('y', graph.node('Neg', [graph.input('x', 'float32', [1])]), 'float32', [1]);
  const session = await openSession(encodeGraph(graph), { device });
  await session.close();
  return session.runtime;
}

/** Where onnxruntime-node's CUDA provider library lies, or undefined where it is not installed. */
export function cudaProviderPath(): string | undefined {
  const folder = runtimeLibraryFolder();
  const path = folder && join(folder, 'libonnxruntime_providers_cuda.so');
  return path && existsSync(path) ? path : undefined;
}

/** The folder that ONNX Runtime loads its libraries from on this platform, or undefined without onnxruntime-node. */
export function runtimeLibraryFolder(): string | undefined {
  try {
    const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
    return join(dirname(manifest), 'bin', 'napi-v6', process.platform, process.arch);
  } catch {
    return undefined;
  }
}

/** The first shared library of the CUDA provider's that is not found: ONNX Runtime names it on stderr alone. */
export function missingCudaLibrary(): string | undefined {
  const provider = cudaProviderPath();
  return provider && missingLibrary(provider);
}

/** The first library that `library` is linked with and the dynamic loader does not find. */
export function missingLibrary(library: string): string | undefined {
  try {
    // At once, so that symbols which only ONNX Runtime has are an error here, not the end of the process later.
    process.dlopen({ exports: {} }, library, constants.dlopen.RTLD_NOW);
  } catch (error) {
    const text = error instanceof Error ? error.message : '';
    return /^([^/\s]+): cannot open shared object file/.exec(text)?.[1];
  }
  return undefined;
}

export interface GraphicsCard {
  readonly name: string;
  readonly driver: string;
  /** In bytes. */
  readonly memory: number;
  readonly freeMemory: number;
  /** `GPU-…` */
  readonly uuid: string;
}

const NVIDIA_SMI = 'nvidia-smi';

/** NVIDIA's cards in this machine, by nvidia-smi and in its order; none where that is missing. */
export function graphicsCards(): GraphicsCard[] {
  const fields = '--query-gpu=name,driver_version,memory.total,memory.free,uuid';
  let lines: string;
  try {
    lines = execFileSync(NVIDIA_SMI, [fields, '--format=csv,noheader,nounits'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return [];
  }
  return lines
    .trim()
    .split('\n')
    .map((line) => {
      const [name, driver, total, free, uuid] = line.split(', ');
      const [memory, freeMemory] = [Number(total) * 2 ** 20, Number(free) * 2 ** 20];
      return { name: name!, driver: driver!, memory, freeMemory, uuid: uuid! };
    });
}

/**
 * The cards by CUDA's numbers: those that CUDA_VISIBLE_DEVICES leaves, in its order. Undefined where that can't be told:
 * of unlike cards CUDA puts the fastest first unless CUDA_DEVICE_ORDER is PCI_BUS_ID, which is nvidia-smi's order.
 */
export function cudaCards(
  cards: readonly GraphicsCard[] = graphicsCards(),
  { CUDA_VISIBLE_DEVICES, CUDA_DEVICE_ORDER }: NodeJS.ProcessEnv = process.env,
): readonly GraphicsCard[] | undefined {
  const isAlike = cards.every(({ name }) => name === cards[0]!.name);
  const inOrder = CUDA_DEVICE_ORDER === 'PCI_BUS_ID' || isAlike ? cards : undefined;
  if (CUDA_VISIBLE_DEVICES === undefined) return inOrder;
  const visible: GraphicsCard[] = [];
  for (const entry of CUDA_VISIBLE_DEVICES.split(',').map((text) => text.trim())) {
    const isNumber = /^\d+$/.test(entry);
    // Of a part of a card (MIG) nvidia-smi would tell the whole.
    if ((isNumber && !inOrder) || entry.startsWith('MIG')) return undefined;
    const card = isNumber ? cards[Number(entry)] : entry && cards.find(({ uuid }) => uuid.startsWith(entry));
    // CUDA leaves out what follows an entry that is wrong.
    if (!card) break;
    visible.push(card);
  }
  return visible;
}

/** The card of a device, where nvidia-smi tells. */
export function cardOf(device: Exclude<Device, 'cpu'>): GraphicsCard | undefined {
  return cudaCards()?.[cardNumber(device)];
}
