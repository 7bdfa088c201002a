/** The Rust tokenizers' binding, loaded on first use: what needs no tokenizer (`lsp doctor`, say) starts without it. */
import type * as Binding from 'tokenizers';
import { LspError } from '../errors';

/** @throws LspError NATIVE_LOAD_FAILED where there is no binary of it for this platform, or it does not load */
export function tokenizerBinding(): typeof Binding {
  try {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- where it is needed, and not before
    return require('tokenizers') as typeof Binding;
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new LspError(
      'NATIVE_LOAD_FAILED',
      `Expected the binary of \`tokenizers\` for ${process.platform}-${process.arch} but received: ${reason}.`,
      { remedy: 'Remove node_modules and install again, on the machine that runs it.', cause: error },
    );
  }
}
