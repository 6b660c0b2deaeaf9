import type { GraphProto, TensorData } from '@scorer/core/onnx';
import { f16ToF32 } from '@scorer/core/safetensors';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Tensorflow } from './tfjs-backend.js';
import { tfjsGraph } from './tfjs-graph.js';

type TensorsData = Record<string, TensorData>;

/** What a session of ONNX Runtime does, on TensorFlow.js and in this process. */
export interface TfjsRunner {
  /** As `OnnxSession.run`. */
  run(feeds: Readonly<TensorsData>, fetch: readonly string[], carry: Readonly<Record<string, string>>): TensorsData;
  /** As `OnnxSession.carried`. */
  carried(inputs: readonly string[]): TensorsData;
}

export function tfjsRunner(tf: Tensorflow, proto: GraphProto): TfjsRunner {
  const graph = tfjsGraph(tf, proto);
  const carried = new Map<string, Tensor>();
  return {
    run(feeds, fetch, carry) {
      const fed = new Map(Object.entries(feeds).map(([name, data]) => [name, toTensor(tf, data)]));
      const outputs = graph.run(new Map([...carried, ...fed]), [...new Set([...fetch, ...Object.keys(carry)])]);
      const fetched = fetch.map((name): [string, TensorData] => [name, fromTensor(outputs.get(name)!)]);

      tf.dispose([...fed.values()]);
      for (const [output, input] of Object.entries(carry)) {
        carried.get(input)?.dispose();
        carried.set(input, outputs.get(output)!);
        outputs.delete(output);
      }
      tf.dispose([...outputs.values()]);
      return Object.fromEntries(fetched);
    },
    carried: (inputs) => Object.fromEntries(inputs.map((name) => [name, fromTensor(carried.get(name)!)])),
  };
}

/** TensorFlow.js has float32, int32 and bool. */
function toTensor(tf: Tensorflow, { type, dims, data }: TensorData): Tensor {
  const shape = [...dims];
  if (type === 'float32') return tf.tensor(data as Float32Array, shape);
  if (type !== 'float16') return tf.tensor(Int32Array.from(data as Int32Array), shape, 'int32');
  const wide = new Float32Array(data.length);
  f16ToF32(data as Uint16Array, wide);
  return tf.tensor(wide, shape);
}

function fromTensor(tensor: Tensor): TensorData {
  // Copied: a backend may give its own memory.
  return { type: 'float32', dims: tensor.shape, data: tensor.dataSync<'float32'>().slice() };
}
