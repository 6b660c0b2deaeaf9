export { toFloat32 } from './convert.js';
export { type Dtype, dtypeBits, dtypeBytes, isDtype } from './dtype.js';
export { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from './half.js';
export { MAX_HEADER_BYTES, parseHeader, type SafetensorsHeader, type TensorInfo } from './header.js';
export {
  INDEX_FILE,
  indexedFiles,
  type ModelTensor,
  openSafetensorsModel,
  type SafetensorsModel,
  SINGLE_FILE,
} from './model.js';
export { openSafetensors, type SafetensorsFile } from './read.js';
export {
  planSafetensors,
  type SafetensorsPlan,
  type TensorSpec,
  type TensorWithData,
  writeSafetensors,
} from './write.js';
