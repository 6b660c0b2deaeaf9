import { expect, test } from 'vitest';
import { sessionFailure } from './session-failure.js';

/** As ONNX Runtime 1.30 puts them. */
const NO_CARD =
  'CUDA failure 101: invalid device ordinal ; GPU=0 ; hostname=h ; file=cuda_execution_provider.cc ; line=1 ; expr=cudaSetDevice(info_.device_id); ';
const NO_DRIVER = 'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=h';

test.each([
  ['a card that is not there', 'create', NO_CARD, 'CUDA_CARD_MISSING', 'input', /no card 3, --device cuda:3/],
  ['CUDA that does not work', 'create', NO_DRIVER, 'CUDA_UNAVAILABLE', 'input', /driver version.*--device cuda:3/],
  ['a full card', 'run', 'CUDA failure 2: out of memory', 'OUT_OF_MEMORY', 'retryable', /cuda:3/],
  ['a missing package', 'import', 'Cannot find package', 'ONNXRUNTIME_MISSING', 'input', /npm install/],
] as const)('%s is told by its code', (_, during, message, code, kind, text) => {
  expect(sessionFailure({ kind: 'failed', during, message }, { device: 'cuda:3' })).toMatchObject({
    code,
    kind,
    message: expect.stringMatching(text),
  });
});
