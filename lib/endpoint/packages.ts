/**
 * The packages behind an endpoint, loaded when the first endpoint is made: undici takes a tenth of a second, which a
 * program without an endpoint should not pay. p-limit and p-retry are ES modules, which Node requires as they are.
 */
import type * as PLimit from 'p-limit' with { 'resolution-mode': 'import' };
import type * as PRetry from 'p-retry' with { 'resolution-mode': 'import' };
import type * as Undici from 'undici';

/* eslint-disable @typescript-eslint/no-require-imports -- see above */
export const loadUndici = () => require('undici') as typeof Undici;
export const loadPLimit = () => (require('p-limit') as typeof PLimit).default;
export const loadPRetry = () => (require('p-retry') as typeof PRetry).default;
/* eslint-enable @typescript-eslint/no-require-imports */
