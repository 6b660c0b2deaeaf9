import type { TensorData } from '@scorer/core/onnx';
import type { TokenConfidence } from '@scorer/core/shards';
import { NEXT_IDS, PREDICTING_PLACES, TOKEN_CONFIDENCES, TOKEN_LOGPROBS } from '../graph/confidence.js';

type Tensors = Readonly<Record<string, TensorData>>;

/** What a graph with confidence is asked: the probability of tokens that did come. */
export interface Predictions {
  /** Which of the graph's places predicts the first one; the others follow without a gap. */
  readonly firstPlace: number;
  /** [C] */
  readonly nextIds: Int32Array;
}

/** Where none is wanted one is computed all the same: kernels differ in what they make of no rows. */
const ANY_PREDICTION: Predictions = { firstPlace: 0, nextIds: new Int32Array(1) };

/** @param chunkTokens the most that the graph shall take at a time */
export function predictionFeeds({ firstPlace, nextIds }: Predictions = ANY_PREDICTION, chunkTokens: number): Tensors {
  const chunks = Math.ceil(nextIds.length / chunkTokens);
  const dims = [chunks, Math.ceil(nextIds.length / chunks)];
  const inChunks = (of: (i: number) => number): TensorData => {
    // What fills the last chunk is computed and left out of the result.
    const data = new Int32Array(dims[0]! * dims[1]!);
    for (let i = 0; i < nextIds.length; i++) data[i] = of(i);
    return { type: 'int32', dims, data };
  };
  return { [PREDICTING_PLACES]: inChunks((i) => firstPlace + i), [NEXT_IDS]: inChunks((i) => nextIds[i]!) };
}

/** @param outputs of a run that was asked for `count` predictions; undefined where it has no head */
export function confidenceOf(outputs: Tensors, count: number): TokenConfidence | undefined {
  const [logprobs, confidences] = [TOKEN_LOGPROBS, TOKEN_CONFIDENCES].map((name) =>
    (outputs[name]?.data as Float32Array | undefined)?.slice(0, count),
  );
  return logprobs && confidences && { logprobs, confidences };
}
