/** GSM8K: see gsm8k.ts. */
export { Gsm8k, type Gsm8kItem, type Gsm8kOptions } from './gsm8k';
export type { Gsm8kVerdict } from './metrics';
