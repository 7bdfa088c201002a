/** IFEval: see ifeval.ts. */
export { IfEval, type IfEvalItem, type IfEvalOptions } from './ifeval';
export type { IfEvalVerdict } from './metrics';
