import { dirname } from 'node:path';

/** The driver's own library; the others are CUDA's. */
const DRIVER_LIBRARY = 'libcuda.so.1';

/**
 * The commands that install ONNX Runtime's CUDA provider, for CUDA 13 from the wheel of the same version.
 * @param version of onnxruntime-node
 * @param folder of its libraries
 */
export function providerFix(version: string, folder: string): string[] {
  return [
    `pip download --no-deps onnxruntime-gpu==${version}`,
    `unzip -j onnxruntime_gpu-${version}-*.whl 'onnxruntime/capi/libonnxruntime_providers_*.so' -d ${shellWord(folder)}`,
    `# or, for CUDA 12, by its own installer: node ${shellWord(`${packageOf(folder)}/script/install.js`)} --onnxruntime-node-install=cuda12`,
  ];
}

/** What makes a library that the provider needs found. */
export function libraryFix(library: string): string[] {
  if (library === DRIVER_LIBRARY) {
    return ["# the NVIDIA driver is missing: install the system's package, in a container use the NVIDIA runtime"];
  }
  return [
    'pip install --target cuda nvidia-cublas nvidia-cuda-runtime nvidia-curand',
    'export LD_LIBRARY_PATH=$PWD/cuda/nvidia/cu13/lib',
  ];
}

/** From `<package>/bin/napi-v6/linux/x64`. */
function packageOf(folder: string): string {
  return [1, 2, 3, 4].reduce((path) => dirname(path), folder);
}

function shellWord(text: string): string {
  return /^[\w./@+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
