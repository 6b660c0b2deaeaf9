import type { Command } from '@scorer/core/cli';
import {
  cudaCards,
  cudaProviderPath,
  type GraphicsCard,
  graphicsCards,
  missingCudaLibrary,
  runtimeLibraryFolder,
  tryDevice,
} from '@scorer/core/onnx';
import { libraryFix, providerFix } from './cuda-fix.js';

export const doctorCommand: Command = {
  name: 'doctor',
  describe: 'Check which devices work here',
  options: {},
  async run() {
    const cpu = await check('cpu');
    const cuda = await checkCuda(cpu);
    const numbered = cudaCards()?.map((card, number) => ({ device: `cuda:${number}`, ...card }));
    const cards = numbered ?? graphicsCards().map((card) => ({ device: null, ...card }));
    const json = {
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      devices: { cpu, cuda },
      cards,
    };
    const rows = (name: string, { works, runtime, reason, fix = [] }: DeviceCheck): string[] => [
      `${name.padEnd(8)} ${works ? `works (${runtime})` : `does not work: ${reason}`}`,
      ...fix.map((line) => `           ${line}`),
    ];
    const lines = [
      `node     ${json.node} on ${json.platform}`,
      ...rows('cpu', cpu),
      ...rows('cuda', cuda),
      ...cards.map((card) => `${(card.device ?? 'card').padEnd(8)} ${describeCard(card)}`),
    ];
    return { json, text: lines.join('\n') };
  },
};

/** Where the provider is a library of its own that can be put beside onnxruntime-node's. */
const HAS_PROVIDER = process.platform === 'linux' && process.arch === 'x64';

interface DeviceCheck {
  works: boolean;
  runtime?: string;
  reason?: string;
  /** Commands for a shell that mend it. */
  fix?: string[];
}

async function check(device: 'cpu' | 'cuda'): Promise<DeviceCheck> {
  try {
    return { works: true, runtime: await tryDevice(device) };
  } catch (error) {
    return { works: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** The first thing that is not there; only where nothing is missing is a session opened. */
async function checkCuda({ runtime }: DeviceCheck): Promise<DeviceCheck> {
  const version = runtime?.split(' ').at(-1);
  const folder = runtimeLibraryFolder();
  if (!version || !folder) return { works: false, reason: 'onnxruntime-node does not work' };
  if (!HAS_PROVIDER) return { works: false, reason: `onnxruntime-node has no CUDA provider for ${process.platform}` };
  if (!cudaProviderPath()) {
    const reason = "onnxruntime-node's CUDA provider is not installed; to use an NVIDIA card:";
    return { works: false, reason, fix: providerFix(version, folder) };
  }
  const missing = missingCudaLibrary();
  if (missing) {
    const reason = `${missing} is not found, which the CUDA provider needs:`;
    return { works: false, reason, fix: libraryFix(missing) };
  }
  return check('cuda');
}

function describeCard({ name, driver, memory, freeMemory }: GraphicsCard): string {
  const gibibytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
  return `${name}, driver ${driver}, ${gibibytes(freeMemory)} of ${gibibytes(memory)} GiB free`;
}
