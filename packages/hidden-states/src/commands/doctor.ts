import type { Command } from '@scorer/core/cli';
import { cudaProviderPath, tryDevice } from '@scorer/core/onnx';

export const doctorCommand: Command = {
  name: 'doctor',
  describe: 'Check which devices work here',
  options: {},
  async run() {
    const cpu = await check('cpu');
    const cuda = cudaProviderPath() ? await check('cuda') : { works: false, reason: 'no CUDA provider library' };
    const json = { node: process.version, platform: `${process.platform}-${process.arch}`, devices: { cpu, cuda } };
    const row = (name: string, { works, runtime, reason }: DeviceCheck): string =>
      `${name.padEnd(8)} ${works ? `works (${runtime})` : `does not work: ${reason}`}`;
    return { json, text: [`node     ${json.node} on ${json.platform}`, row('cpu', cpu), row('cuda', cuda)].join('\n') };
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
