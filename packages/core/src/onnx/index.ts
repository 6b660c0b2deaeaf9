export { cudaProviderPath, resolveDevice, runtimeLibraryFolder, tryDevice } from './device.js';
export { gradients } from './gradients.js';
export {
  type Attribute,
  createGraph,
  type Dimension,
  type ElementType,
  type ExternalBytes,
  encodeGraph,
  float32,
  type Graph,
  int64,
  type NodeOptions,
  type Value,
} from './graph.js';
export { type MatMulOptions, type Operand, type ReduceOptions, type Tensor, type TensorOps, tensorOps } from './ops.js';
export { type OnnxSession, openSession } from './session.js';
export type { Device, SessionOptions, TensorData, TensorType } from './session-protocol.js';
