import { isUtf8 } from 'node:buffer';
import { torchError } from './errors.js';
import { TorchText } from './value.js';
import type { ZipContent } from './zip.js';

/** Texts up to this size become strings; longer ones (a trace of 27,000 tokens has 100 kB) stay in the file. */
const SHORT_TEXT_BYTES = 4096;

/** Longest line of a GLOBAL's module or name: torch's are a tenth of that. */
const MAX_LINE_BYTES = 256;

/** More than any opcode takes with its operands, texts that stay in the file excepted. */
const LOOK_AHEAD_BYTES = 2 * SHORT_TEXT_BYTES;
const WINDOW_BYTES = 64 * 1024;

/** A pickle's bytes in order, through a window. */
export interface PickleBytes {
  /** Reads on, so that the operands of the next opcode can be taken. */
  refill(): Promise<void>;
  /** Whether `refill` must be awaited before the next opcode. */
  readonly needsRefill: boolean;
  byte(): number;
  uint16(): number;
  uint32(): number;
  int32(): number;
  /** Big-endian, as BINFLOAT stands. */
  float64(): number;
  /** Little-endian two's complement of up to 8 bytes. */
  integer(bytes: number): number | bigint;
  /** Up to the next newline. */
  line(): string;
  text(bytes: number): string | TorchText;
}

/** @throws ScorerError by its methods: `TORCH_PICKLE_INVALID` where bytes are missing or no text */
export function pickleBytes(content: ZipContent, where: string): PickleBytes {
  let window = Buffer.alloc(0);
  /** Of the window's first byte in the pickle. */
  let start = 0;
  /** Of the next byte in the window. */
  let at = 0;

  const invalid = (what: string): Error => torchError('TORCH_PICKLE_INVALID', what, where);
  const take = (bytes: number): number => {
    if (at + bytes > window.length) throw invalid('the pickle ends in the middle');
    at += bytes;
    return at - bytes;
  };

  return {
    get needsRefill() {
      return window.length - at < LOOK_AHEAD_BYTES && start + window.length < content.size;
    },
    async refill() {
      start += at;
      window = Buffer.alloc(Math.min(WINDOW_BYTES, content.size - start));
      at = 0;
      await content.read(start, window);
    },
    byte: () => window[take(1)]!,
    uint16: () => window.readUInt16LE(take(2)),
    uint32: () => window.readUInt32LE(take(4)),
    int32: () => window.readInt32LE(take(4)),
    float64: () => window.readDoubleBE(take(8)),
    integer(bytes) {
      if (bytes === 0) return 0;
      if (bytes > 8) throw torchError('TORCH_LIMIT', `an integer of ${bytes} bytes, 8 are read`, where);
      const from = take(bytes);
      let value = 0n;
      for (let i = bytes - 1; i >= 0; i--) value = (value << 8n) | BigInt(window[from + i]!);
      value = BigInt.asIntN(8 * bytes, value);
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    },
    line() {
      const end = window.indexOf(0x0a, at);
      if (end === -1 || end - at > MAX_LINE_BYTES) throw invalid('a name without an end');
      const from = take(end - at + 1);
      return window.toString('latin1', from, end);
    },
    text(bytes) {
      if (start + at + bytes > content.size) throw invalid(`a text of ${bytes} bytes goes beyond the pickle's end`);
      if (bytes > SHORT_TEXT_BYTES) {
        const text = new TorchText(start + at, bytes);
        // Beyond the window as a rule: what is next is read from there.
        if (at + bytes <= window.length) at += bytes;
        else {
          start += at + bytes;
          window = Buffer.alloc(0);
          at = 0;
        }
        return text;
      }
      const from = take(bytes);
      const slice = window.subarray(from, at);
      if (!isUtf8(slice)) throw invalid('a text is not UTF-8');
      return slice.toString('utf8');
    },
  };
}
