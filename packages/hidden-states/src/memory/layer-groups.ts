import { type DeviceKind, deviceKind } from '@scorer/core/onnx';
import type { LayerGroup } from '../graph/builder.js';
import { computedLayers } from '../graph/decoder-graph.js';
import { RIM_TYPE } from '../graph/graph-weights.js';
import type { DecoderModel } from '../model/load-model.js';
import { estimateMemory, gibibytes, longestTrace, type MemoryEstimate, type MemorySettings } from './estimate.js';

/** Into how many groups the layers are cut, one of which is in memory at a time; `auto`: as few as fit. */
export type LayerGroupCount = 'auto' | number;

export interface LayerGroupPlan {
  readonly groups: readonly LayerGroup[];
  /** Of the group that needs most. */
  readonly estimate: MemoryEstimate;
  /** Tokens of the longest trace that fits. */
  readonly longest: number;
  /** Tokens that go through the groups together, and bytes that are kept in memory of what they have between two. */
  readonly batch: { readonly tokens: number; readonly memory: number };
}

/**
 * Weights are read once for so many tokens. On a CPU, which computes 10¹¹ to 10¹² operations a second and reads 10⁹
 * bytes, that takes some percent of the time, and more tokens would only make a kill dearer; a card computes so much
 * faster that it wants all it can get.
 */
const BATCH_TOKENS: Readonly<Record<DeviceKind, number>> = { cpu: 65_536, cuda: 1_048_576 };

/** Of what the host has free, for a batch that a card computes. */
const HOST_MEMORY_SHARE = 0.5;

/** Room for what follows a trace's last step end: the plan of a run knows its tokens up to there. */
const TAIL_TOKENS = 1024;

const RIM_BYTES = { float32: 4, float16: 2 } as const;

/**
 * Cuts the layers into as few groups as let the longest trace fit. Where it fits with none, the whole model is taken if
 * that fits by itself, else one layer at a time.
 * @param longest trace of the run, in tokens up to its last step end
 * @param available bytes of the device
 * @throws ScorerError `MODEL_TOO_LARGE`, with the numbers
 */
export function planLayerGroups(
  model: DecoderModel,
  settings: MemorySettings,
  { count, longest, available }: { count: LayerGroupCount; longest: number; available: number },
): LayerGroupPlan {
  const layerCount = computedLayers(settings, model.spec);
  const wanted = longest + TAIL_TOKENS;
  const room = ({ estimate }: Cut): number => (available - estimate.model) / estimate.perToken;
  const cutInto = (groupCount: number): Cut => cutLayers(model, settings, { layerCount, groupCount });

  function fewestGroups(): Cut {
    const whole = cutInto(1);
    let cut = whole;
    for (let groupCount = 1; groupCount <= layerCount; groupCount++) {
      cut = cutInto(groupCount);
      if (room(cut) >= wanted) return cut;
    }
    return room(whole) >= 1 ? whole : cut;
  }

  const { groups, estimate } = count === 'auto' ? fewestGroups() : cutInto(count);
  if (groups.length === 1) {
    return { groups, estimate, longest: longestTrace(estimate, available), batch: { tokens: 0, memory: 0 } };
  }
  const kind = deviceKind(settings.device);
  const tokens = BATCH_TOKENS[kind];
  const needed = tokens * model.spec.hiddenSize * RIM_BYTES[RIM_TYPE[settings.compute]];
  const onDevice = Math.max(0, available - estimate.model - wanted * estimate.perToken);
  const memory = Math.min(needed, kind === 'cpu' ? onDevice : HOST_MEMORY_SHARE * process.availableMemory());
  const forTraces = kind === 'cpu' ? available - memory : available;
  const layersAtATime = Math.max(...groups.map(({ first, last }) => last - first + 1));
  return { groups, estimate, longest: longestTrace(estimate, forTraces, layersAtATime), batch: { tokens, memory } };
}

interface Cut {
  readonly groups: readonly LayerGroup[];
  /** Of the group that needs most. */
  readonly estimate: MemoryEstimate;
}

/** Sizes differ by one at most. */
function cutLayers(
  model: DecoderModel,
  settings: MemorySettings,
  { layerCount, groupCount }: { layerCount: number; groupCount: number },
): Cut {
  const count = Math.max(1, Math.min(groupCount, layerCount));
  const end = (group: number): number => Math.ceil((layerCount * group) / count);
  const groups = Array.from({ length: count }, (_, group) => ({ first: end(group) + 1, last: end(group + 1) }));
  if (count === 1) return { groups, estimate: estimateMemory(model, settings) };
  const estimates = groups.map((group) => estimateMemory(model, settings, group));
  return { groups, estimate: estimates.reduce((most, other) => (other.model > most.model ? other : most)) };
}

/** One line for the log: what a run in groups will take. */
export function describeLayerGroups({ groups, estimate, longest, batch }: LayerGroupPlan, available: number): string {
  const { first, last } = groups[0]!;
  return (
    `memory: layers ${first}–${last} of ${groups.at(-1)!.last} at a time, ${groups.length} groups, batches of up to ` +
    `${batch.tokens} tokens: about ${gibibytes(estimate.model)} for a group, ${gibibytes(estimate.perToken * 1000)} ` +
    `for 1,000 tokens and ${gibibytes(batch.memory)} for a batch; ` +
    `traces of up to ${longest} tokens fit in the ${gibibytes(available)} that there are`
  );
}
