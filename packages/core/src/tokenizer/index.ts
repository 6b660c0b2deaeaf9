export type { ChatMessage } from './chat-template.js';
export { loadTokenizer, type ScorerTokenizer } from './tokenizer.js';
