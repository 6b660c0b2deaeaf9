export {
  cardOf,
  cudaCards,
  cudaProviderPath,
  type GraphicsCard,
  graphicsCards,
  missingCudaLibrary,
  resolveDevice,
  runtimeLibraryFolder,
  tryDevice,
} from './device.js';
export { type Device, type DeviceKind, type DeviceWish, deviceKind, deviceWishSchema } from './device-name.js';
export { gradients } from './gradients.js';
export {
  type Attribute,
  type AttributeProto,
  createGraph,
  type Dimension,
  type ElementType,
  type ExternalBytes,
  encodeGraph,
  encodePortableGraph,
  float32,
  type Graph,
  type GraphProto,
  int64,
  type NodeOptions,
  type NodeProto,
  type TensorProto,
  type Value,
} from './graph.js';
export { type CutModel, cutModel } from './model-reader/cut-model.js';
export {
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  readOnnxModel,
  referTo,
} from './model-reader/read-model.js';
export { takeBranch } from './model-reader/take-branch.js';
export { type MatMulOptions, type Operand, type ReduceOptions, type Tensor, type TensorOps, tensorOps } from './ops.js';
export { type OnnxSession, openSession } from './session.js';
export type { SessionOptions, TensorData, TensorType } from './session-protocol.js';
