export {
  type AtomicFile,
  createAtomicFile,
  removeStaleTemporaries,
  removeTemporariesOf,
  syncFolder,
  writeFileAtomic,
} from './atomic.js';
export { fileExists } from './exists.js';
export { type Sha256FileOptions, sha256File } from './fingerprint.js';
export { type FileLock, type LockOptions, lockFile } from './lock.js';
export { makeFolder } from './make-folder.js';
export { openFile, readSmallFile, readSmallFileIfPresent } from './open.js';
export { type ByteRange, readFully, readRanges } from './read.js';
export { fileError, onFile } from './system-error.js';
export { writeFully } from './write.js';
