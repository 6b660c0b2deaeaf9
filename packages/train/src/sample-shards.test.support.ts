import { readFile } from 'node:fs/promises';
import { type RandomStream, randomStream } from '@scorer/core/random';
import { f32ToBf16, f32ToF16, openSafetensors } from '@scorer/core/safetensors';
import type { Storage } from '@scorer/core/schema';
import { openShardWriter, type TraceStates } from '@scorer/core/shards';

/** A trace in a test: its label, its question and its rows, [steps][hidden size] by layer. */
export interface SampleTrace {
  question: string;
  isCorrect: boolean;
  states: ReadonlyMap<number, readonly Float32Array[]>;
  /** 0 = prompt, 1 = reasoning; all reasoning where left out. */
  regions?: readonly number[];
  /** Labels of the steps themselves, -1 for none; none where left out. */
  stepLabels?: readonly number[];
}

const ORIGIN = {
  model: 'sample',
  model_fingerprint: '0'.repeat(64),
  input_fingerprint: '1'.repeat(64),
  dtype: 'float32',
  device: 'cpu',
  runtime: 'none',
};

/** Writes traces as one sealed shard. */
export async function writeShard(
  path: string,
  traces: readonly SampleTrace[],
  { layers, hiddenSize, storage = 'F16' }: { layers: readonly number[]; hiddenSize: number; storage?: Storage },
): Promise<void> {
  const writer = await openShardWriter(path, { layers, hiddenSize, storage, metadata: ORIGIN });
  for (const [traceIndex, { question, isCorrect, states, regions, stepLabels }] of traces.entries()) {
    const steps = states.get(layers[0]!)!.length;
    const stored = layers.map((layer): [number, Uint8Array] => [layer, store(states.get(layer)!, hiddenSize, storage)]);
    const trace: TraceStates = {
      traceIndex,
      isCorrect,
      inputIds: Int32Array.from({ length: steps + 1 }, (_, i) => i),
      stepPositions: Int32Array.from({ length: steps }, (_, i) => i),
      stepRegions: Uint8Array.from(regions ?? new Array(steps).fill(1)),
      stepLabels: stepLabels && Float32Array.from(stepLabels),
      texts: { question, original_response: '', full_forward_text: '', ground_truth: '', extracted_answer: '' },
      hiddenStates: new Map(stored),
    };
    await writer.append(trace);
  }
  await writer.seal();
}

function store(rows: readonly Float32Array[], hiddenSize: number, storage: Storage): Uint8Array {
  const values = new Float32Array(rows.length * hiddenSize);
  for (const [i, row] of rows.entries()) values.set(row, i * hiddenSize);
  if (storage === 'F32') return new Uint8Array(values.buffer);
  const halves = new Uint16Array(values.length);
  if (storage === 'F16') f32ToF16(values, halves);
  else f32ToBf16(values, halves);
  return new Uint8Array(halves.buffer);
}

/**
 * Made-up traces that can be learnt from: every value is noise, the first few lean to the label and to the question.
 */
export function sampleTraces({
  questions,
  tracesPerQuestion,
  steps,
  hiddenSize,
  layers = [1],
}: {
  questions: number;
  tracesPerQuestion: number;
  steps: number;
  hiddenSize: number;
  layers?: readonly number[];
}): SampleTrace[] {
  const random = randomStream(1, 'sample traces');
  return Array.from({ length: questions * tracesPerQuestion }, (_, i) => {
    const question = i % questions;
    const isCorrect = random.uniform() < 0.2 + (0.6 * question) / questions;
    const row = (): Float32Array =>
      Float32Array.from({ length: hiddenSize }, (_, d) => noise(random) + (d < 4 && isCorrect ? 0.5 : 0));
    const rows = (): Float32Array[] => Array.from({ length: steps }, row);
    return { question: `question ${question}`, isCorrect, states: new Map(layers.map((layer) => [layer, rows()])) };
  });
}

function noise(random: RandomStream): number {
  return random.uniform() + random.uniform() + random.uniform() - 1.5;
}

/** The original's hidden states of the tiny reasoner's `train_200` as a shard, from the shared test data. */
export async function writeReferenceShard(path: string, reasonerFolder: string): Promise<void> {
  const reference = `${reasonerFolder}/reference`;
  const lines = (await readFile(`${reference}/preprocess/train_200.jsonl`, 'utf8')).trim().split('\n');
  const file = await openSafetensors(`${reference}/hidden_states/train_200.safetensors`);
  try {
    const offsets = new BigInt64Array((await file.read('offsets')).buffer);
    const hiddenSize = file.tensor('hidden').shape[1]!;
    const writer = await openShardWriter(path, { layers: [5], hiddenSize, storage: 'F16', metadata: ORIGIN });
    for (const [traceIndex, line] of lines.entries()) {
      const record = JSON.parse(line);
      const [start, end] = [Number(offsets[traceIndex]), Number(offsets[traceIndex + 1])];
      await writer.append({
        traceIndex,
        isCorrect: record.is_correct,
        inputIds: new Int32Array(1 + Math.max(0, ...record.extracted_position)),
        stepPositions: Int32Array.from(record.extracted_position),
        stepRegions: promptOrReasoning(record),
        texts: {
          question: record.question,
          original_response: record.full_text,
          full_forward_text: record.prompt + record.forward_text,
          ground_truth: record.ground_truth,
          extracted_answer: record.extracted_answer,
        },
        hiddenStates: new Map([[5, await file.readRows('hidden', start, end)]]),
      });
    }
    await writer.seal();
  } finally {
    await file.close();
  }
}

function promptOrReasoning(record: { prompt: string; segmented_text_list: string[]; extracted_position: number[] }) {
  let length = 0;
  return Uint8Array.from(record.extracted_position, (_, i) => {
    length += record.segmented_text_list[i]!.length;
    return Number(length > record.prompt.length);
  });
}
