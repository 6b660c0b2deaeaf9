import type { Command } from '@scorer/core/cli';
import { cudaProviderPath, type GraphicsCard, graphicsCards, missingCudaLibrary, tryDevice } from '@scorer/core/onnx';

export const doctorCommand: Command = {
  name: 'doctor',
  describe: 'Check which devices work here',
  options: {},
  async run() {
    const cpu = await check('cpu');
    const cuda = await checkCuda();
    const cards = graphicsCards();
    const json = {
      node: process.version,
      platform: `${process.platform}-${process.arch}`,
      devices: { cpu, cuda },
      cards,
    };
    const row = (name: string, { works, runtime, reason }: DeviceCheck): string =>
      `${name.padEnd(8)} ${works ? `works (${runtime})` : `does not work: ${reason}`}`;
    const lines = [
      `node     ${json.node} on ${json.platform}`,
      row('cpu', cpu),
      row('cuda', cuda),
      ...cards.map((card) => `card     ${describeCard(card)}`),
    ];
    return { json, text: lines.join('\n') };
  },
};

interface DeviceCheck {
  works: boolean;
  runtime?: string;
  reason?: string;
}

async function check(device: 'cpu' | 'cuda'): Promise<DeviceCheck> {
  try {
    return { works: true, runtime: await tryDevice(device) };
  } catch (error) {
    return { works: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** The first thing that is not there; only where nothing is missing is a session opened. */
async function checkCuda(): Promise<DeviceCheck> {
  if (!cudaProviderPath()) return { works: false, reason: "onnxruntime-node's CUDA provider is not installed" };
  const missing = missingCudaLibrary();
  if (missing) return { works: false, reason: `${missing} is not found, which the CUDA provider needs` };
  return check('cuda');
}

function describeCard({ name, driver, memory, freeMemory }: GraphicsCard): string {
  const gibibytes = (bytes: number): string => (bytes / 2 ** 30).toFixed(1);
  return `${name}, driver ${driver}, ${gibibytes(freeMemory)} of ${gibibytes(memory)} GiB free`;
}
