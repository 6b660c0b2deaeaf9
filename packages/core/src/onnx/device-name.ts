import { z } from 'zod';
import { ScorerError } from '../errors/index.js';

/** The kinds of device that there are, as shards and results name them. */
export type DeviceKind = 'cpu' | 'cuda';

/** A device as PyTorch names it: `cuda` is the first card, `cuda:1` the second, as CUDA counts them. */
export type Device = DeviceKind | `cuda:${number}`;

/** What a user may ask for; `auto` is CUDA where it works. */
export type DeviceWish = 'auto' | Device;

const FORM = /^(?:auto|cpu|cuda(?::\d{1,3})?)$/;
const FORM_IN_WORDS = 'auto, cpu, cuda, or cuda:1 for the second card';

/** Of an option `device`, for `parseOptions`. */
export const deviceWishSchema = z.custom<DeviceWish>((value) => typeof value === 'string' && FORM.test(value), {
  error: ({ input }) => `"${input}" is no device: give ${FORM_IN_WORDS}`,
});

/** @throws ScorerError `BAD_DEVICE` (usage) */
export function checkDeviceWish(wish: string): asserts wish is DeviceWish {
  if (FORM.test(wish)) return;
  throw new ScorerError({
    code: 'BAD_DEVICE',
    kind: 'usage',
    what: `"${wish}" is no device`,
    where: '--device',
    hint: `give ${FORM_IN_WORDS}`,
  });
}

export function deviceKind(device: Device): DeviceKind {
  return device === 'cpu' ? 'cpu' : 'cuda';
}

/** CUDA's number of the card, from 0; `cuda` alone is the first one. */
export function cardNumber(device: Exclude<Device, 'cpu'>): number {
  return Number(device.split(':')[1] ?? 0);
}

/** What ONNX Runtime is asked for: what CUDA lacks a kernel for runs on the CPU. */
export function executionProviders(device: Device): ('cpu' | { name: 'cuda'; deviceId: number })[] {
  return device === 'cpu' ? ['cpu'] : [{ name: 'cuda', deviceId: cardNumber(device) }, 'cpu'];
}
