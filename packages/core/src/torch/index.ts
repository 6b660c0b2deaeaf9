export type { TorchDtype } from './dtype.js';
export { openTorch, type TorchFile } from './read.js';
export { TorchTensor, TorchText, type TorchValue } from './value.js';
export { encodeTorch, type TorchInput, type TorchTensorData } from './write.js';
