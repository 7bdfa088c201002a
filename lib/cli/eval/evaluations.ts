/** The evaluations of `lsp eval`. */
import type { EvaluationCommand } from './spec';

export const EVALUATIONS: readonly EvaluationCommand[] = [];
