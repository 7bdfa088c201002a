/**
 * Public exports, and nothing else: what is not named here may change without notice.
 */

export { LspError } from './errors';
export type { LspErrorCode, LspErrorOptions } from './errors';
export type {
  ChatMessage,
  Completion,
  FinishReason,
  GenerateOptions,
  LossGradient,
  ModelConfig,
  Prompt,
  TrainingGroup,
} from './model/types';
