export { formatJsonLine, parseJson } from './json.js';
export { countLines, type JsonlLine, MAX_LINE_BYTES, type ReadLinesOptions, readLines } from './lines.js';
export { type JsonlRecord, readJsonl } from './records.js';
