/**
 * p-limit and p-retry, which are ES modules: Node requires them as they are, and the type imports say so to TypeScript.
 * In one place, for the day on which the package is an ES module itself (docs/decisions/0002).
 */
import type * as PLimit from 'p-limit' with { 'resolution-mode': 'import' };
import type * as PRetry from 'p-retry' with { 'resolution-mode': 'import' };

/* eslint-disable @typescript-eslint/no-require-imports -- see above */
export const pLimit = (require('p-limit') as typeof PLimit).default;
export const pRetry = (require('p-retry') as typeof PRetry).default;
/* eslint-enable @typescript-eslint/no-require-imports */
