/** Made-up scored traces from a seeded generator, and shards with their texts, for tests and benchmarks. */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { finished } from 'node:stream/promises';
import { randomStream } from '../packages/core/dist/random/index.js';
import { openShardWriter } from '../packages/core/dist/shards/index.js';

const PROMPT_TOKENS = 120;
const SHARD_TRACES = 1000;
const WORDS = 'let the sum of all even numbers be n then we check whether this holds for every case and go on'.split(
  ' ',
);

/**
 * Scored traces one by one. Wrong ones score lower on the whole, in one question more than in another.
 * @param {{ traces: number, perQuestion: number, steps: number }} size
 */
export function* scoredTraces({ traces, perQuestion, steps }) {
  const random = randomStream(0, 'scored traces');
  for (let trace = 0; trace < traces; trace++) {
    const question = Math.floor(trace / perQuestion);
    const isRight = random.uniform() < 0.2 + 0.6 * ((question * 0.618) % 1);
    const lean = isRight ? 0.12 * ((question * 0.414) % 1) : 0;
    const positions = [];
    for (let at = PROMPT_TOKENS; positions.length < steps; ) {
      at += 1 + random.below(80);
      positions.push(at);
    }
    const scores = positions.map(() => Number((0.35 + lean + 0.5 * random.uniform()).toFixed(6)));
    const first = SHARD_TRACES * Math.floor(trace / SHARD_TRACES);
    yield {
      shard: `sample_hiddenstates_${first}_${Math.min(first + SHARD_TRACES, traces)}.safetensors`,
      trace_index: trace,
      question: `Question ${question}: what is the answer?`,
      ground_truth: '0',
      extracted_answer: String(isRight ? 0 : 1 + random.below(5)),
      is_correct: isRight,
      tokens: positions.at(-1) + 1 + random.below(60),
      prompt_tokens: PROMPT_TOKENS,
      step_positions: positions,
      step_scores: scores,
      score: scores.reduce((sum, score) => sum + score, 0) / steps,
    };
  }
}

/** Writes scored traces as JSON Lines. */
export async function writeScores(path, traces) {
  const out = createWriteStream(path);
  for (const trace of traces) {
    if (!out.write(`${JSON.stringify(trace)}\n`)) await new Promise((resolve) => out.once('drain', resolve));
  }
  out.end();
  await finished(out);
}

/**
 * Writes the shards that scored traces name, with a text of as many steps and no hidden state to speak of.
 * @param {(trace: object, step: number) => string} [stepText]
 */
export async function writeShards(folder, traces, stepText = wordsOf(randomStream(0, 'texts'))) {
  const metadata = {
    model: 'sample',
    model_fingerprint: '0'.repeat(64),
    input_fingerprint: '1'.repeat(64),
    dtype: 'float32',
    device: 'cpu',
    runtime: 'none',
  };
  let writer;
  let name;
  for (const trace of traces) {
    if (trace.shard !== name) {
      await writer?.seal();
      name = trace.shard;
      await mkdir(dirname(join(folder, name)), { recursive: true });
      writer = await openShardWriter(join(folder, name), { layers: [1], hiddenSize: 1, storage: 'F16', metadata });
    }
    await writer.append(traceStates(trace, stepText));
  }
  await writer?.seal();
}

function traceStates(trace, stepText) {
  const thought = trace.step_positions.map((_, step) => `${stepText(trace, step)}\n\n`).join('');
  return {
    traceIndex: trace.trace_index,
    isCorrect: trace.is_correct,
    inputIds: new Int32Array(trace.tokens),
    stepPositions: Int32Array.from(trace.step_positions),
    stepRegions: new Uint8Array(trace.step_positions.length).fill(1),
    texts: {
      question: trace.question,
      ground_truth: trace.ground_truth,
      extracted_answer: trace.extracted_answer,
      full_forward_text: `<user>\n${trace.question}\n<assistant>\n<think>\n${thought}`,
      original_response: `<think>\n${thought}</think>\nThe answer is ${trace.extracted_answer}.`,
    },
    hiddenStates: new Map([[1, new Uint8Array(2 * trace.step_positions.length)]]),
  };
}

/** About as many words as a step of 40 tokens has. */
function wordsOf(random) {
  return () => Array.from({ length: 10 + random.below(40) }, () => WORDS[random.below(WORDS.length)]).join(' ');
}
