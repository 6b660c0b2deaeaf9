export { type ModelFiles, resolveModelFolder } from './resolve.js';
