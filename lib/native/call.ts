/**
 * The one way into a long native operation: makes its handle, ties an AbortSignal to it, and turns native failures
 * into `LspError` with the stack of the JavaScript caller (a native error has none worth reading).
 */
import { LspError, type LspErrorCode } from '../errors';
import type { NativeHandle } from './addon';
import { loadAddon } from './load';

const CODES: ReadonlySet<string> = new Set<LspErrorCode>([
  'INVALID_ARGUMENT',
  'UNKNOWN_OPTION',
  'INVALID_MODEL_FILE',
  'UNSUPPORTED_MODEL',
  'INVALID_CHAT_TEMPLATE',
  'PROMPT_TOO_LONG',
  'OUT_OF_MEMORY',
  'IO_ERROR',
  'REWARD_FAILED',
  'TRAINING_DIVERGED',
  'INVALID_CHECKPOINT',
  'DISPOSED',
  'NATIVE_LOAD_FAILED',
  'INTERNAL',
]);

/** What native says for an operation that its handle aborted. */
const ABORTED = 'ABORTED';

/** The stack frames below this call, to graft onto an error that arrives later from another thread. */
function callerFrames(): string {
  const holder: { stack?: string } = {};
  Error.captureStackTrace(holder, callerFrames);
  return (holder.stack ?? '').split('\n').slice(1).join('\n');
}

/** An `LspError` for whatever native code threw; `frames` are the caller's stack frames. */
export function fromNativeError(error: unknown, frames = callerFrames()): Error {
  if (error instanceof LspError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const given = (error as { code?: unknown } | null)?.code;
  const code = typeof given === 'string' && CODES.has(given) ? (given as LspErrorCode) : 'INTERNAL';
  const converted = new LspError(code, message, { cause: error });
  converted.stack = `${converted.name}: ${converted.message}\n${frames}`;
  return converted;
}

/** Runs a synchronous native call, turning its failure into an `LspError`. */
export function nativeSync<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw fromNativeError(error);
  }
}

/**
 * Runs a native operation under an optional AbortSignal.
 *
 * Rejects with `signal.reason` when aborted (at once if it was aborted before), otherwise with an `LspError`.
 * The abort listener is removed whatever happens.
 */
export async function withSignal<T>(
  signal: AbortSignal | undefined,
  operation: (handle: NativeHandle) => Promise<T>,
  makeHandle: () => NativeHandle = () => new (loadAddon().Handle)(),
): Promise<T> {
  const frames = callerFrames();
  signal?.throwIfAborted();
  let handle: NativeHandle;
  let running: Promise<T>;
  const abort = () => handle.abort();
  try {
    handle = makeHandle();
    signal?.addEventListener('abort', abort, { once: true });
    running = operation(handle);
    return await running;
  } catch (error) {
    if ((error as { code?: unknown } | null)?.code === ABORTED) {
      // Without an abort of this signal, the handle was aborted by its owner: a plain AbortError says so.
      throw signal?.aborted ? signal.reason : new DOMException('The operation was aborted.', 'AbortError');
    }
    throw fromNativeError(error, frames);
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
