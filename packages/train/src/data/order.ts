import { permutation, type RandomStream, randomStream, sampleAscending, shuffle } from '@scorer/core/random';
import type { StepSet } from './split.js';

/**
 * The order in which training takes the rows of a set, as positions in the set, part by part. It follows from the seed,
 * the epoch, the batch and the bytes of a row, never from the memory that there is: a set that is kept in memory and
 * one that is read from disk are trained on in the same order.
 */
export interface TrainingOrder {
  readonly rowsPerEpoch: number;
  /** @param epoch from 1 */
  epoch(epoch: number): Generator<Uint32Array, void, undefined>;
}

export interface OrderChoice {
  readonly batchSize: number;
  readonly rowBytes: number;
  readonly seed: number;
  readonly chunkBytes?: number;
}

/**
 * Rows that are used one after the other come from a chunk of this size, so that a set too large for memory is read in
 * pieces. A set of one chunk has a plain random order.
 */
const CHUNK_BYTES = 64 * 1024 ** 2;

/**
 * A chunk of a larger set is put together from this many blocks of neighbouring rows, drawn from the whole set: blocks
 * because single rows read ten times slower, many because the steps of one trace, which stand side by side, share
 * their label.
 */
const BLOCKS_PER_CHUNK = 512;

/** Every row once, in random order. */
export function shuffledOrder({ rows }: StepSet, choice: OrderChoice): TrainingOrder {
  return {
    rowsPerEpoch: rows.length,
    epoch: (epoch) => shuffledChunks(rows.length, chunkRowsOf(choice), shuffleStream(choice.seed, epoch)),
  };
}

/**
 * Of each trace with T rows max(1, floor(T · ratio)), drawn anew for each epoch, in random order.
 * @param traces [rows] ascending: number of the trace of each row
 */
export function resampledOrder(traces: Uint32Array, ratio: number, choice: OrderChoice): TrainingOrder {
  const offsets = runOffsets(traces);
  const drawnOf = (i: number): number => Math.max(1, Math.floor((offsets[i + 1]! - offsets[i]!) * ratio));
  let rowsPerEpoch = 0;
  for (let i = 0; i + 1 < offsets.length; i++) rowsPerEpoch += drawnOf(i);
  return {
    rowsPerEpoch,
    *epoch(epoch) {
      const random = randomStream(choice.seed, `sample steps epoch ${epoch}`);
      const positions = new Uint32Array(rowsPerEpoch);
      let filled = 0;
      for (let i = 0; i + 1 < offsets.length; i++) {
        const [start, end] = [offsets[i]!, offsets[i + 1]!];
        for (const step of sampleAscending(end - start, drawnOf(i), random)) positions[filled++] = start + step;
      }
      yield* shuffledSubset(positions, choice, epoch);
    },
  };
}

/** Every row of the rarer class, and as many of the other one, drawn anew for each epoch, in random order. */
export function balancedOrder({ labels }: StepSet, choice: OrderChoice): TrainingOrder {
  const right = labels.reduce((sum, label) => sum + label, 0);
  return {
    rowsPerEpoch: 2 * Math.min(right, labels.length - right),
    *epoch(epoch) {
      const positions = balancedPositions(labels, right, randomStream(choice.seed, `balance epoch ${epoch}`));
      yield* shuffledSubset(positions, choice, epoch);
    },
  };
}

/** Rows of one question stand together in groups of a batch's size over this. */
const QUESTIONS_PER_BATCH = 4;

/**
 * Rows in random order by groups of one question, so that right and wrong rows of a question meet in a batch, and a few
 * questions do. Questions all of whose rows have one target are left out: they have nothing to compare.
 * @param questions [rows]: number of the question of each row
 */
export function questionOrder({ targets }: StepSet, questions: Uint32Array, choice: OrderChoice): TrainingOrder {
  const byQuestion = positionsByQuestion(questions).filter((positions) =>
    positions.some((position) => targets[position] !== targets[positions[0]!]),
  );
  const total = byQuestion.reduce((sum, { length }) => sum + length, 0);
  const groupRows = Math.max(2, Math.floor(choice.batchSize / QUESTIONS_PER_BATCH));

  return {
    rowsPerEpoch: total,
    *epoch(epoch) {
      const random = shuffleStream(choice.seed, epoch);
      const collect = chunkCollector(total, chunkRowsOf(choice));
      for (const question of permutation(byQuestion.length, random)) {
        const positions = byQuestion[question]!.slice();
        shuffle(positions, random);
        for (const position of positions) {
          const chunk = collect(position);
          if (chunk) yield shuffledGroups(chunk, questions, groupRows, random);
        }
      }
    },
  };
}

/** Some of the positions, ascending, in random order. */
function* shuffledSubset(positions: Uint32Array, choice: OrderChoice, epoch: number): Generator<Uint32Array> {
  const random = shuffleStream(choice.seed, epoch);
  for (const chunk of shuffledChunks(positions.length, chunkRowsOf(choice), random)) {
    yield chunk.map((i) => positions[i]!);
  }
}

/** Where each run of equal values begins, and the end of the last. */
function runOffsets(values: Uint32Array): Uint32Array {
  const starts = values.reduce<number[]>((found, value, i) => {
    if (i === 0 || value !== values[i - 1]) found.push(i);
    return found;
  }, []);
  return Uint32Array.from([...starts, values.length]);
}

function shuffleStream(seed: number, epoch: number): RandomStream {
  return randomStream(seed, `shuffle epoch ${epoch}`);
}

/** Whole batches, so that only the last one of an epoch is short. */
function chunkRowsOf({ batchSize, rowBytes, chunkBytes = CHUNK_BYTES }: OrderChoice): number {
  return batchSize * Math.max(1, Math.floor(chunkBytes / (batchSize * rowBytes)));
}

/** The numbers below `count`: blocks in random order, cut into chunks, each chunk in random order. */
function* shuffledChunks(count: number, chunkRows: number, random: RandomStream): Generator<Uint32Array> {
  const blockRows = Math.max(1, Math.floor(chunkRows / BLOCKS_PER_CHUNK));
  const collect = chunkCollector(count, chunkRows);
  for (const block of permutation(Math.ceil(count / blockRows), random)) {
    const end = Math.min((block + 1) * blockRows, count);
    for (let position = block * blockRows; position < end; position++) {
      const chunk = collect(position);
      if (!chunk) continue;
      shuffle(chunk, random);
      yield chunk;
    }
  }
}

/** Collects positions, and hands out each chunk that the last one completes. */
function chunkCollector(total: number, chunkRows: number): (position: number) => Uint32Array | undefined {
  let left = total;
  let chunk = new Uint32Array(Math.min(chunkRows, left));
  let filled = 0;
  return (position) => {
    chunk[filled++] = position;
    if (filled < chunk.length) return undefined;
    const full = chunk;
    left -= filled;
    chunk = new Uint32Array(Math.min(chunkRows, left));
    filled = 0;
    return full;
  };
}

function balancedPositions(labels: Uint8Array, right: number, random: RandomStream): Uint32Array {
  const wrong = labels.length - right;
  const rarer = Number(right <= wrong);
  const drawn = sampleAscending(Math.max(right, wrong), Math.min(right, wrong), random);
  const positions = new Uint32Array(2 * drawn.length);
  let filled = 0;
  let ofCommoner = 0;
  let taken = 0;
  for (const [position, label] of labels.entries()) {
    if (label === rarer) positions[filled++] = position;
    else if (ofCommoner++ === drawn[taken]) {
      positions[filled++] = position;
      taken++;
    }
  }
  return positions;
}

/** The positions of each question that occurs, ascending. */
function positionsByQuestion(questions: Uint32Array): Uint32Array[] {
  const counts = new Map<number, number>();
  for (const question of questions) counts.set(question, (counts.get(question) ?? 0) + 1);
  const lists = new Map(
    [...counts].map(([question, count]) => [question, { positions: new Uint32Array(count), at: 0 }]),
  );
  for (const [position, question] of questions.entries()) {
    const list = lists.get(question)!;
    list.positions[list.at++] = position;
  }
  return [...lists.values()].map(({ positions }) => positions);
}

/** Cuts each question's run of positions into groups of about equal size, and puts the groups in random order. */
function shuffledGroups(
  chunk: Uint32Array,
  questions: Uint32Array,
  groupRows: number,
  random: RandomStream,
): Uint32Array {
  const groups: Uint32Array[] = [];
  for (let from = 0; from < chunk.length; ) {
    const question = questions[chunk[from]!];
    let end = from + 1;
    while (end < chunk.length && questions[chunk[end]!] === question) end++;
    const parts = Math.ceil((end - from) / groupRows);
    for (let part = 0; part < parts; part++) {
      const [start, stop] = [part, part + 1].map((p) => from + Math.floor(((end - from) * p) / parts));
      groups.push(chunk.subarray(start, stop));
    }
    from = end;
  }
  const shuffled = new Uint32Array(chunk.length);
  let filled = 0;
  for (const g of permutation(groups.length, random)) {
    shuffled.set(groups[g]!, filled);
    filled += groups[g]!.length;
  }
  return shuffled;
}
