export type { ChatMessage } from './chat-template.js';
export { loadTokenizer, type ScorerTokenizer, TOKENIZER_FILES } from './tokenizer.js';
