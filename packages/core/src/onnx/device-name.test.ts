import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parseOptions } from '../cli/index.js';
import {
  cardNumber,
  checkDeviceWish,
  type Device,
  deviceKind,
  deviceWishSchema,
  executionProviders,
} from './device-name.js';

const schema = z.object({ device: deviceWishSchema });

describe('a device', () => {
  test.each(['auto', 'cpu', 'cuda', 'cuda:0', 'cuda:7', 'cuda:12'])('may be named %s', (device) => {
    expect(parseOptions(schema, { device })).toEqual({ device });
    expect(() => checkDeviceWish(device)).not.toThrow();
  });

  test.each(['', 'gpu', 'CUDA', 'cuda:', 'cuda:-1', 'cuda:1.5', 'cuda:x', 'cuda:1,2', 'cuda1', 'cpu:0', 'auto:1', 1])(
    'may not be named %j',
    (device) => {
      const refusal = { kind: 'usage', where: '--device', message: expect.stringContaining('cuda:1') };
      expect(() => parseOptions(schema, { device })).toThrow(
        expect.objectContaining({ ...refusal, code: 'BAD_OPTION' }),
      );
      expect(() => checkDeviceWish(String(device))).toThrow(
        expect.objectContaining({ ...refusal, code: 'BAD_DEVICE' }),
      );
    },
  );

  test.each<[Device, string, object[]]>([
    ['cpu', 'cpu', []],
    ['cuda', 'cuda', [{ name: 'cuda', deviceId: 0 }]],
    ['cuda:0', 'cuda', [{ name: 'cuda', deviceId: 0 }]],
    ['cuda:3', 'cuda', [{ name: 'cuda', deviceId: 3 }]],
  ])('%s is of the kind %s, and ONNX Runtime is given the number of its card', (device, kind, providers) => {
    expect(deviceKind(device)).toBe(kind);
    expect(executionProviders(device)).toEqual([...providers, 'cpu']);
    if (device !== 'cpu')
      expect(cardNumber(device)).toBe(providers[0] && (providers[0] as { deviceId: number }).deviceId);
  });
});
