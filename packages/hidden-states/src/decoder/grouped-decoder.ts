import { ScorerError } from '@scorer/core/errors';
import type { LayerGroup } from '../graph/builder.js';
import { buildDecoderGraph } from '../graph/decoder-graph.js';
import type { DecoderSpec } from '../model/decoder-spec.js';
import type { DecoderModel } from '../model/load-model.js';
import { type Decoder, type DecoderOptions, decoderOf } from './decoder.js';
import { type LayerOutputs, type LayerSession, openLayerSession, type SequencePass } from './layer-session.js';
import { type PassTokens, shareOfWork } from './pass-work.js';
import { createTensorStore, type TensorStore } from './tensor-store.js';

/** How a decoder whose weights do not fit into memory is run. */
export interface LayerGrouping {
  /** All computed layers, in their order. */
  readonly groups: readonly LayerGroup[];
  /** Tokens of the sequences that go through the groups together: weights are read once for so many. */
  readonly batchTokens: number;
  /** Bytes in memory for what the sequences of a batch have between two groups; the rest goes to a file. */
  readonly memory: number;
  /** Where that file is made; it has a name only while it is being opened. */
  readonly path: string;
  /** Told after each batch how long it took, and how much of that the loading of weights. */
  readonly onBatch?: ((seconds: { all: number; loading: number }) => void) | undefined;
}

/** A sequence on its way through the groups. */
interface Member {
  /** Of its residual streams in the store, and the beginning of its states' keys. */
  readonly key: string;
  readonly pass: SequencePass;
  /** Whose states are in the store. */
  readonly storedLayers: number[];
  done(outputs: LayerOutputs): void;
  failed(error: unknown): void;
}

/**
 * A decoder of which one group of layers is in memory at a time. The sequences that come in one turn of the event loop
 * are a batch: all of them go through the first group, then all through the second, and so on, and between two groups
 * their residual streams are put aside. The bytes are those of `openDecoder`: the same kernels on the same shapes.
 * @throws ScorerError the codes of `openDecoder`
 */
export async function openGroupedDecoder(
  model: DecoderModel,
  options: DecoderOptions,
  { groups, batchTokens, memory, path, onBatch }: LayerGrouping,
): Promise<Decoder> {
  // Weights that do not fit config.json are found now, not after hours in the groups before theirs.
  for (const group of groups) buildDecoderGraph(model, { ...options, group });
  let loadingTime = 0;
  let loaded = await timedLoad(groups[0]!);
  let closed = false;

  async function timedLoad(group: LayerGroup): Promise<{ group: LayerGroup; session: LayerSession }> {
    const start = performance.now();
    const session = await openLayerSession(model, options, group);
    loadingTime += performance.now() - start;
    return { group, session };
  }

  function requireOpen(): void {
    if (closed) throw new Error('the decoder is closed');
  }

  async function sessionOf(group: LayerGroup): Promise<LayerSession> {
    if (loaded.group !== group) {
      await loaded.session.close();
      loaded = await timedLoad(group).catch(endRun);
    }
    return loaded.session;
  }

  async function runBatch(batch: Set<Member>): Promise<void> {
    const store = createTensorStore({ memory, path });
    const start = performance.now() - loadingTime;
    try {
      for (const group of groups) {
        if (batch.size === 0) return;
        requireOpen();
        const session = await sessionOf(group);
        for (const member of batch) {
          try {
            requireOpen();
            member.pass.signal?.throwIfAborted();
            await runMember(member, session, store, { group, last: groups.at(-1)!, spec: model.spec });
          } catch (error) {
            batch.delete(member);
            member.failed(error);
          }
        }
      }
      onBatch?.({ all: (performance.now() - start) / 1000, loading: loadingTime / 1000 });
      loadingTime = 0;
    } finally {
      await store.close();
    }
  }

  let gathering = new Set<Member>();
  let running: Promise<void> = Promise.resolve();
  const runGathered = (): void => {
    const batch = gathering;
    gathering = new Set();
    running = running
      .then(() => runBatch(batch))
      .catch((error: unknown) => {
        for (const { failed } of batch) failed(error);
      });
  };

  const decoder = decoderOf(
    {
      runtime: loaded.session.runtime,
      run: (pass) =>
        new Promise((done, failed) => {
          if (gathering.size === 0) setImmediate(runGathered);
          gathering.add({ key: String(gathering.size), pass, storedLayers: [], done, failed });
        }),
      async close() {
        closed = true;
        await running;
        await loaded.session.close();
      },
    },
    options,
  );
  return { ...decoder, batchTokens };
}

async function runMember(
  { key, pass, storedLayers, done }: Member,
  session: LayerSession,
  store: TensorStore,
  { group, last, spec }: { group: LayerGroup; last: LayerGroup; spec: DecoderSpec },
): Promise<void> {
  const keyOf = (layer: number): string => `${key} ${layer}`;
  const outputs = await session.run(pass, await store.take(key).catch(endRun));
  if (group !== last) {
    await store.put(key, outputs.residuals).catch(endRun);
    for (const [layer, data] of outputs.states) {
      await store.put(keyOf(layer), [{ type: 'uint8', dims: [data.length], data }]).catch(endRun);
      storedLayers.push(layer);
    }
    pass.onLayers?.(shareOfWork(spec, tokensOf(pass), { done: group.last, last: last.last }));
    return;
  }
  const states = new Map<number, Uint8Array>();
  for (const layer of storedLayers) {
    const [stored] = await store.take(keyOf(layer)).catch(endRun);
    states.set(layer, stored!.data as Uint8Array);
  }
  for (const [layer, bytes] of outputs.states) states.set(layer, bytes);
  done({ ...outputs, states });
}

function tokensOf({ inputIds, positions, promptLength = 0, confidence = false }: SequencePass): PassTokens {
  if (!confidence) return { tokens: positions.at(-1)! + 1, predictions: 0 };
  return { tokens: inputIds.length, predictions: inputIds.length - Math.max(1, promptLength) };
}

/**
 * A group that does not load, and a file of residuals that can't be written, are no fault of a trace, which would be noted
 * and passed over for an error of its input.
 */
function endRun(error: unknown): never {
  if (!(error instanceof ScorerError)) throw error;
  const { code, what, where, hint } = error;
  throw new ScorerError({ code, kind: 'retryable', what, where, hint, cause: error });
}
