/**
 * The one error type of the library.
 *
 * Every failure a caller can meet is an `LspError` with a stable `code`; messages follow one grammar:
 * "Expected X for `name` but received Y", then what to do about it.
 */

/** Stable error codes. New codes may be added; the meaning of an existing one never changes. */
export type LspErrorCode =
  | 'INVALID_ARGUMENT' // a value of the wrong type, shape or range
  | 'UNKNOWN_OPTION' // an option name nobody reads
  | 'INVALID_MODEL_FILE' // a corrupt, truncated or lying GGUF, safetensors or JSON file
  | 'UNSUPPORTED_MODEL' // a well-formed model of a kind this version does not run
  | 'INVALID_CHAT_TEMPLATE' // a template that does not parse, throws, or runs away
  | 'PROMPT_TOO_LONG' // prompt (plus completion) beyond the model's context
  | 'OUT_OF_MEMORY' // an allocation failed, or the preflight says that it would
  | 'IO_ERROR' // reading or writing failed: missing file, full disk, permissions
  | 'HUB_UNAVAILABLE' // the hub cannot be asked: offline, unreachable, failing, or cut off
  | 'HUB_REFUSED' // the hub has no such repository, revision or file, or does not give it without permission
  | 'REWARD_FAILED' // a reward threw, hung, or returned something that is not a score
  | 'SANDBOX_UNAVAILABLE' // no sandbox for foreign code on this machine, or it failed to start a program
  | 'ENDPOINT_FAILED' // a chat endpoint refused for a reason that holds for every call: key, model, address, credit
  | 'TRAINING_DIVERGED' // NaN or infinity in loss, gradient or weights
  | 'INVALID_CHECKPOINT' // a run directory that cannot be resumed
  | 'DISPOSED' // use after dispose()
  | 'NATIVE_LOAD_FAILED' // the addon could not be loaded
  | 'INTERNAL'; // a bug in this library

export interface LspErrorOptions extends ErrorOptions {
  /** What the caller can do about it: one or two sentences, appended to the message. */
  remedy?: string;
}

export class LspError extends Error {
  readonly code: LspErrorCode;
  readonly remedy: string | undefined;

  constructor(code: LspErrorCode, message: string, options: LspErrorOptions = {}) {
    super(options.remedy ? `${message} ${options.remedy}` : message, options);
    this.name = 'LspError';
    this.code = code;
    this.remedy = options.remedy;
  }
}
