import { int64, type Value } from '@scorer/core/onnx';
import type { DecoderSpec } from '../model/decoder-spec.js';
import type { Builder } from './builder.js';
import { type ComputeType, RIM_TYPE } from './graph-weights.js';

export interface ConfidenceOptions {
  /** k: the mean is over this many of the most probable tokens, or over all where the vocabulary has fewer. */
  topK: number;
}

/** As many as DeepConf asks vLLM for. */
export const DEFAULT_TOP_K = 20;

/**
 * Input, int64 [1]: how many of these tokens lead to wanted states. Those after them are there for confidence alone, and
 * tokens are cut into chunks as if there were none: so the states are the same bytes as without it.
 */
export const STATE_TOKENS = 'state_tokens';

/**
 * Inputs, int32 [n, c]: in n chunks of c, the places from which a token is predicted, and the token that did come next.
 * A place is an index into these tokens, after the preceding one where there is one (`PRECEDING_TOKEN`).
 */
export const PREDICTING_PLACES = 'predicting_places';
export const NEXT_IDS = 'next_ids';

/** Outputs, float32 [n, c]: log-probability of the next token, and minus the mean over the k most probable ones. */
export const TOKEN_LOGPROBS = 'token_logprobs';
export const TOKEN_CONFIDENCES = 'token_confidences';

/**
 * In a graph that takes a past: of the token before these, which predicts the first of them, what its last layer's
 * attention and residual stream are, [1, 0 or 1, H·d] and [1, 0 or 1, D]; and outputs with the same of the last of these.
 */
export const PRECEDING_TOKEN = { attended: 'preceding.attended', residual: 'preceding.residual' };
export const LAST_TOKEN = { attended: 'last_token.attended', residual: 'last_token.residual' };

/** Logits in memory at a time, whatever the vocabulary. */
const CHUNK_LOGITS: Readonly<Record<ComputeType, number>> = { float32: 2 ** 24, float16: 2 ** 26, bfloat16: 2 ** 26 };
/** More tokens at a time make the product with the head no faster. */
const MAX_CHUNK_TOKENS = 512;

/** Most tokens in a chunk of `PREDICTING_PLACES`. */
export function confidenceChunkTokens({ vocabularySize }: DecoderSpec, compute: ComputeType): number {
  const fitting = Math.floor(CHUNK_LOGITS[compute] / vocabularySize);
  return Math.max(1, Math.min(fitting, MAX_CHUNK_TOKENS));
}

/** What a layer's attention leaves, before its output projection. */
export interface AfterAttention {
  /** [1, T, H·d] */
  readonly attended: Value;
  /** [1, T, D] */
  readonly residual: Value;
}

/**
 * The log-probabilities of tokens and the token confidence of DeepConf (arXiv 2508.15260, equation 2), chunk by chunk:
 * of logits there are never more than a chunk's. They are float32 whatever the compute type, as in transformers.
 * @param head tensor [V, D]
 * @param finish the rest of the last layer and the final norm, [1, c, …] → [1, c, D]
 */
export function outputConfidence(
  builder: Builder,
  { topK }: ConfidenceOptions,
  {
    head,
    last,
    finish,
  }: { head: string; last: AfterAttention; finish: (builder: Builder, rows: AfterAttention) => Value },
): void {
  const { graph, spec, weights, options } = builder;
  const { vocabularySize: V, hiddenSize: D } = spec;
  const predicting = options.takesPast ? afterPreceding(builder, last) : last;
  const weight = weights.get(head, [V, D]);

  const body = graph.subgraph('head');
  const places = body.input('places', 'int32', ['c']);
  const next = body.input('next', 'int32', ['c']);
  const at = (states: Value): Value => body.node('Gather', [states, places], { attributes: { axis: 1 } });
  const states = finish(
    { ...builder, graph: body },
    { attended: at(predicting.attended), residual: at(predicting.residual) },
  );
  const logits = body.node('FusedMatMul', [states, weight], { domain: 'com.microsoft', attributes: { transB: 1 } });
  const exact = options.compute === 'float32' ? logits : body.cast(logits, 'float32');
  const logprobs = body.node('LogSoftmax', [exact], { attributes: { axis: -1 } }); // [1, c, V]
  const ofNext = body.node('GatherElements', [logprobs, body.node('Reshape', [next, int64(body, [1, -1, 1])])], {
    attributes: { axis: -1 },
  });
  const [best] = body.nodes('TopK', [logprobs, int64(body, [Math.min(topK, V)])], { outputs: 2 });
  const mean = body.node('ReduceMean', [best, int64(body, [-1])]);
  const flat = (values: Value): Value => body.node('Reshape', [values, int64(body, [-1])]);
  body.result(flat(ofNext), 'float32', ['c']);
  body.result(flat(body.node('Neg', [mean])), 'float32', ['c']);

  const inputs = [PREDICTING_PLACES, NEXT_IDS].map((name) => graph.input(name, 'int32', ['n', 'c']));
  const [tokenLogprobs, confidences] = graph.nodes('Scan', inputs, {
    outputs: 2,
    attributes: { body, num_scan_inputs: inputs.length },
  });
  graph.output(TOKEN_LOGPROBS, tokenLogprobs!, 'float32', ['n', 'c']);
  graph.output(TOKEN_CONFIDENCES, confidences!, 'float32', ['n', 'c']);
}

/** The rows of the preceding token before those of these tokens; the last of them leave the graph for tokens that follow. */
function afterPreceding({ graph, spec, options }: Builder, last: AfterAttention): AfterAttention {
  const type = RIM_TYPE[options.compute];
  const through = (part: keyof AfterAttention, width: number): Value => {
    const ofLast = graph.node('Gather', [last[part], int64(graph, [-1])], { attributes: { axis: 1 } });
    graph.output(LAST_TOKEN[part], ofLast, type, [1, 1, width]);
    const preceding = graph.input(PRECEDING_TOKEN[part], type, [1, 'preceding', width]);
    return graph.node('Concat', [preceding, last[part]], { attributes: { axis: 1 } });
  };
  return {
    attended: through('attended', spec.headCount * spec.headSize),
    residual: through('residual', spec.hiddenSize),
  };
}
