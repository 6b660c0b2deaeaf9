import { fileURLToPath } from 'node:url';
import { openSafetensors } from '@scorer/core/safetensors';
import { beforeAll, describe, expect, test } from 'vitest';
import { type BatchRun, type Engine, type EngineOptions, initialState, type TrainingState } from './engine.js';
import { trainedNetwork } from './fold.js';
import { forEachParameter, type Parameters } from './network.js';
import { learningRateSchedule } from './schedule.js';

/** What PyTorch made of the same starts: tools/oracles/training_step.py. */
const FIXTURE = fileURLToPath(new URL('./fixtures/training_step.safetensors', import.meta.url));
const BATCH = 32;
const WIDTH = 24;
const EPOCHS = 20;
const STEPS = 200;
const DROPOUT = 0.3;
const SEED = 7;

type Tensors = Readonly<Record<string, Float32Array>>;

interface TorchCase {
  readonly options: EngineOptions;
  readonly labels: Float32Array;
  readonly initial: Parameters;
  readonly final: Parameters;
  readonly expAvg: Parameters;
  readonly expAvgSq: Parameters;
  readonly losses: Float32Array;
  readonly logits: Float32Array;
}

const CASES = [
  'bce',
  'soft labels',
  'two hidden layers',
  'logistic regression',
  'pairwise',
  'dropout',
  'standardised',
  'principal components',
  'cosine schedule',
] as const;
type CaseName = (typeof CASES)[number];

interface TorchCases {
  readonly rows: Uint16Array;
  readonly groups: Int32Array;
  readonly cases: Readonly<Record<CaseName, TorchCase>>;
}

const BCE: EngineOptions = {
  network: { inputSize: WIDTH, hiddenUnits: [16] },
  rowType: 'float16',
  adam: { learningRate: 1e-2, weightDecay: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  loss: { kind: 'bce', positiveWeight: 1.75 },
  dropout: 0,
  seed: SEED,
  device: 'cpu',
  threads: 1,
};

async function readTorchCases(): Promise<TorchCases> {
  const file = await openSafetensors(FIXTURE);
  const bytes = async (name: string): Promise<ArrayBuffer> => (await file.read(name)).slice().buffer;
  const entries = [...file.tensors.values()]
    .filter(({ dtype }) => dtype === 'F32')
    .map(async ({ name }): Promise<[string, Float32Array]> => [name, new Float32Array(await bytes(name))]);
  const tensors: Tensors = Object.fromEntries(await Promise.all(entries));
  const rows = new Uint16Array(await bytes('rows'));
  const groups = new Int32Array(await bytes('groups'));
  await file.close();

  const { mean, scale, components, labels, soft_labels } = tensors;
  const network = (...hiddenUnits: number[]) => ({ inputSize: WIDTH, hiddenUnits });
  const standardise = { mean: mean!, scale: scale! };
  const differences: Record<CaseName, Partial<EngineOptions>> = {
    bce: {},
    'soft labels': {},
    'two hidden layers': { network: network(16, 8) },
    'logistic regression': { network: network() },
    pairwise: { loss: { kind: 'pairwise' } },
    dropout: { network: network(16, 8), dropout: DROPOUT },
    standardised: { inputTransform: standardise },
    'principal components': { inputTransform: { ...standardise, components: components! } },
    'cosine schedule': {
      adam: { ...BCE.adam, schedule: learningRateSchedule({ lrSchedule: 'cosine', warmup: 15 }, STEPS) },
    },
  };
  const cases = CASES.map((name): [CaseName, TorchCase] => {
    const options = { ...BCE, ...differences[name] };
    const parameters = (kind: string): Parameters =>
      forEachParameter(
        trainedNetwork(options.network, options.inputTransform),
        (parameter) => tensors[`${name}.${kind}.${parameter}`]!,
      );
    return [
      name,
      {
        options,
        labels: name === 'soft labels' ? soft_labels! : labels!,
        initial: parameters('initial'),
        final: parameters('final'),
        expAvg: parameters('exp_avg'),
        expAvgSq: parameters('exp_avg_sq'),
        losses: tensors[`${name}.losses`]!,
        logits: tensors[`${name}.logits`]!,
      },
    ];
  });
  return { rows, groups, cases: Object.fromEntries(cases) as Record<CaseName, TorchCase> };
}

/** Starts an engine of the kind that is tested. */
type OpenEngine = (options: EngineOptions, state: TrainingState) => Promise<Engine>;

/** Epochs over the rows of the fixture in order: 9 whole batches each, then a short one. */
async function trainCase(
  openEngine: OpenEngine,
  { rows, groups }: TorchCases,
  { options, labels, initial }: TorchCase,
  { epochs = EPOCHS, state = initialState(initial) }: { epochs?: number; state?: TrainingState } = {},
) {
  const run = (from: number, to: number, batchSize: number): BatchRun => ({
    batchSize,
    rows: { type: 'float16', count: to - from, data: rows.slice(from * WIDTH, to * WIDTH) },
    labels: labels.slice(from, to),
    groups: groups.slice(from, to),
  });
  const whole = labels.length - (labels.length % BATCH);
  const engine = await openEngine(options, state);
  const losses: number[] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    losses.push(...(await engine.trainBatches(run(0, whole, BATCH))));
    losses.push(...(await engine.trainBatches(run(whole, labels.length, labels.length - whole))));
  }
  const after = await engine.state();
  const logits = await engine.predict({ type: 'float16', count: labels.length, data: rows });
  await engine.close();
  return { losses, state: after, logits };
}

/** The tests that an engine must pass. */
export function testAgainstTorch(openEngine: OpenEngine): void {
  let torch: TorchCases;
  beforeAll(async () => {
    torch = await readTorchCases();
  });

  describe.each(CASES)('200 steps from the weights and batches of PyTorch, %s,', (name) => {
    let trained: Awaited<ReturnType<typeof trainCase>>;
    beforeAll(async () => {
      trained = await trainCase(openEngine, torch, torch.cases[name]);
    });

    test('give its weights within 1e-5', () => {
      expect(trained.state.step).toBe(STEPS);
      for (const [parameter, expected] of Object.entries(torch.cases[name].final)) {
        expect(largestDifference(trained.state.weights[parameter]!, expected), parameter).toBeLessThan(1e-5);
      }
    });

    test('give its loss at every step and its logits in the end', () => {
      expect(largestDifference(trained.losses, torch.cases[name].losses)).toBeLessThan(1e-5);
      expect(largestDifference(trained.logits, torch.cases[name].logits)).toBeLessThan(1e-4);
    });

    test("give Adam's moments, kept as sums", () => {
      const { gradientSums, squareSums } = trained.state;
      const { expAvg, expAvgSq } = torch.cases[name];
      for (const parameter of Object.keys(expAvg)) {
        expect(largestDifference(gradientSums[parameter]!, expAvg[parameter]!, 1 - 0.9), parameter).toBeLessThan(1e-5);
        expect(largestDifference(squareSums[parameter]!, expAvgSq[parameter]!, 1 - 0.999), parameter).toBeLessThan(
          1e-6,
        );
      }
    });

    test('give the same bits in two halves, the second from the state of the first', async () => {
      const half = await trainCase(openEngine, torch, torch.cases[name], { epochs: EPOCHS / 2 });
      const whole = await trainCase(openEngine, torch, torch.cases[name], { epochs: EPOCHS / 2, state: half.state });
      expect(whole.state).toEqual(trained.state);
    });
  });
}

/** The largest |factor · a − b|. */
function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>, factor = 1): number {
  expect(a.length).toBe(b.length);
  return Array.from(a, (value, i) => Math.abs(factor * value - b[i]!)).reduce((x, y) => Math.max(x, y), 0);
}
