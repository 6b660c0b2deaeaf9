import { lstat, realpath } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { ScorerError } from '../../errors/index.js';
import type { ExternalBytes } from '../graph.js';

export interface ExternalEntry {
  readonly key: string;
  readonly value: string;
}

/**
 * Checks where a tensor's bytes are said to lie. The external data of a model that nobody vouches for could name any
 * file of the machine, whose bytes would then leave it as hidden states: so it must be a file of its own under the
 * model's folder, reached without links. (ONNX Runtime itself follows hard links.)
 * @param tensor the name of the tensor and the bytes that its type and shape ask for, where they are known
 * @param sizes of the files that were checked before, by location; this one is added
 * @throws ScorerError `ONNX_EXTERNAL_PATH`, `ONNX_EXTERNAL_MISSING`, `ONNX_EXTERNAL_SYMLINK`,
 * `ONNX_EXTERNAL_HARD_LINK`, `ONNX_EXTERNAL_RANGE`
 */
export async function checkExternalData(
  folder: string,
  tensor: { name: string; bytes: number | undefined },
  entries: readonly ExternalEntry[],
  sizes: Map<string, number>,
): Promise<ExternalBytes> {
  const values = new Map(entries.map(({ key, value }) => [key, value]));
  const location = values.get('location') ?? '';
  const refuse = (code: string, what: string, hint = 'take the model from a source that you trust'): ScorerError =>
    new ScorerError({ code, what: `tensor ${tensor.name}: ${what}`, where: join(folder, 'external data'), hint });

  const isInside = location !== '' && !isAbsolute(location) && !/(^|[/\\])\.\.([/\\]|$)|[\0:]|^\\/.test(location);
  if (!isInside) {
    throw refuse('ONNX_EXTERNAL_PATH', `its data lie in ${JSON.stringify(location)}, outside of the model's folder`);
  }
  const size = sizes.get(location) ?? (await plainFileSize(folder, location, refuse));
  sizes.set(location, size);

  const offset = wholeNumber(values.get('offset') ?? '0');
  const length = wholeNumber(values.get('length') ?? String(tensor.bytes ?? size - offset));
  // Not `offset + length > size` alone: that is false for what is no number.
  const fits = offset >= 0 && length >= 0 && offset + length <= size;
  if (!fits || (tensor.bytes !== undefined && length !== tensor.bytes)) {
    throw refuse(
      'ONNX_EXTERNAL_RANGE',
      `its data are said to be ${values.get('length') ?? 'some'} bytes from ${values.get('offset') ?? 0} of the ${size} in ${location}`,
      'fetch or export the model again: its data are cut off or of another version',
    );
  }
  return { location, offset, length };
}

async function plainFileSize(
  folder: string,
  location: string,
  refuse: (code: string, what: string, hint?: string) => ScorerError,
): Promise<number> {
  const path = join(folder, location);
  const info = await lstat(path).catch(() => undefined);
  if (!info) {
    const hint = 'put the data beside the .onnx file, under the name that it asks for';
    throw refuse('ONNX_EXTERNAL_MISSING', `there is no ${location}`, hint);
  }
  const copy = 'put the file itself there';
  const isLinked = info.isSymbolicLink() || (await realpath(path)) !== join(await realpath(folder), location);
  if (isLinked) throw refuse('ONNX_EXTERNAL_SYMLINK', `${location} is reached by a symbolic link`, copy);
  if (!info.isFile()) throw refuse('ONNX_EXTERNAL_PATH', `${location} is no file`);
  if (info.nlink > 1) throw refuse('ONNX_EXTERNAL_HARD_LINK', `${location} has another name (hard link)`, copy);
  return info.size;
}

/** NaN for anything but decimal digits that a number holds exactly. */
function wholeNumber(text: string): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(number) ? number : Number.NaN;
}
