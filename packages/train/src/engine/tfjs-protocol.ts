import type { ScorerErrorInit } from '@scorer/core/errors';
import type { Device, GraphProto, TensorData } from '@scorer/core/onnx';

/** Messages between tfjs-session.ts and its worker process. */
export type TfjsRequest =
  /** The first one. */
  | { kind: 'open'; device: Device; graph: GraphProto }
  | {
      kind: 'run';
      feeds: Readonly<Record<string, TensorData>>;
      fetch: readonly string[];
      carry: Readonly<Record<string, string>>;
    }
  | { kind: 'carried'; inputs: readonly string[] };

export type TfjsReply =
  | { kind: 'ready'; runtime: string; warning: string }
  | { kind: 'outputs'; outputs: Record<string, TensorData> }
  /** TensorFlow.js does not load. */
  | { kind: 'unavailable'; error: ScorerErrorInit }
  | { kind: 'failed'; message: string };
