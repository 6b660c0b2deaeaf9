import type { Storage } from '@scorer/core/schema';
import type { ScorerTokenizer } from '@scorer/core/tokenizer';
import type { Decoder } from '../../decoder/decoder.js';
import type { ConfidenceOptions } from '../../graph/confidence.js';
import type { RunProgress } from '../run-progress.js';
import type { FailureBudget } from './failures.js';

/** What all shards of a run share. */
export interface ShardRun {
  readonly tokenizer: ScorerTokenizer;
  /** Throws for a trace of so many tokens that it does not fit into memory. */
  fits(tokens: number): void;
  readonly decoder: Decoder;
  readonly confidence: ConfidenceOptions | undefined;
  readonly storage: Storage;
  readonly budget: FailureBudget;
  readonly progress: RunProgress;
  readonly signal: AbortSignal | undefined;
}
