import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadTokenizer } from '@scorer/core/tokenizer';
import { describe, expect, it } from 'vitest';
import { withTimeLimit } from './time-limit.js';

const DEMO_MODEL = fileURLToPath(new URL('../../../apps/demo/data/model', import.meta.url));
const LIMIT = { ms: 100, what: 'a line' };
const tooSlow = expect.objectContaining({ code: 'TOO_SLOW', kind: 'input' });

describe('withTimeLimit', () => {
  it('returns and throws what the work does', () => {
    expect(withTimeLimit(() => 5, LIMIT)).toBe(5);
    expect(withTimeLimit(() => withTimeLimit(() => 'inner', LIMIT).length, LIMIT)).toBe(5);
    const error = new Error('mine');
    expect(() =>
      withTimeLimit(() => {
        throw error;
      }, LIMIT),
    ).toThrow(error);
  });

  it('ends a regular expression that backtracks', () => {
    const text = `${'a'.repeat(40)}!`;
    expect(() => withTimeLimit(() => /^(a+)+$/.test(text), LIMIT)).toThrow(tooSlow);
  });

  it('ends a chat template that loops', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'scorer-hostile-'));
    await cp(DEMO_MODEL, folder, { recursive: true });
    const loop = '{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}';
    await writeFile(join(folder, 'chat_template.jinja'), loop);
    const tokenizer = await loadTokenizer(folder);
    expect(() => withTimeLimit(() => tokenizer.renderPrompt([]), LIMIT)).toThrow(tooSlow);
    await rm(folder, { recursive: true });
  });
});
