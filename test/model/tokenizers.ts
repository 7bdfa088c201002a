/** The tiny model's tokenizer, changed as a test wants. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openModelSource } from '../../lib/model/formats';
import type { TokenizerSource } from '../../lib/model/formats';
import { Tokenizer } from '../../lib/model/tokenizer';
import type { ChatMessage } from '../../lib/model/types';
import { writeTinyModel } from '../support/tiny-model';

/** Makes them from a directory that is removed after the tests of a file. */
export function useTinyTokenizer() {
  const directory = mkdtempSync(join(tmpdir(), 'lsp-tokenizer-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return function tiny(changes: Partial<TokenizerSource> = {}, vocabSize = 288): Tokenizer {
    const source = openModelSource(writeTinyModel(join(directory, 'tiny'))).tokenizer;
    return new Tokenizer({ ...source, ...changes }, { vocabSize, eosTokenIds: [2] });
  };
}

export const user = (content: string): ChatMessage[] => [{ role: 'user', content }];
