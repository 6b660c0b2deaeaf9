import { type AtomicFile, createAtomicFile } from '@scorer/core/files';

/** Output files that get their names together, when they are whole. */
export interface Outputs {
  /** Bytes written to each, in the order in which they get their names. */
  readonly sizes: readonly number[];
  commit(): Promise<void>;
  /** Removes what was written. */
  discard(): Promise<void>;
  /** Lets go of the files. What is not committed stays only if a later run can go on with it. */
  close(): Promise<void>;
}

export interface AtomicOutputs extends Outputs {
  files: readonly AtomicFile[];
}

/** Outputs that are made in one go. */
export async function openAtomicOutputs(paths: readonly string[]): Promise<AtomicOutputs> {
  const files: AtomicFile[] = [];
  const discard = async (): Promise<void> => {
    for (const file of files) await file.discard();
  };
  try {
    for (const path of paths) files.push(await createAtomicFile(path));
  } catch (error) {
    await discard();
    throw error;
  }
  return {
    files,
    get sizes() {
      return files.map(({ bytesWritten }) => bytesWritten);
    },
    async commit() {
      for (const file of files) await file.commit();
    },
    discard,
    close: discard,
  };
}
