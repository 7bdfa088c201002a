/** `@huggingface/hub`, loaded on first use: most programs need no hub. */
import type * as Hub from '@huggingface/hub';

export function hubLibrary(): typeof Hub {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- where it is needed, and not before
  return require('@huggingface/hub') as typeof Hub;
}
