/** Catching the error that a test expects. */
import { LspError, type LspErrorCode } from '../../lib/errors';

export function errorOf(run: () => unknown): LspError {
  try {
    run();
  } catch (error) {
    if (error instanceof LspError) return error;
    throw new Error(`expected an LspError but received ${String(error)}`, { cause: error });
  }
  throw new Error('expected an LspError but nothing was thrown');
}

export async function rejectionOf(promise: Promise<unknown>): Promise<LspError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof LspError) return error;
    throw new Error(`expected an LspError but received ${String(error)}`, { cause: error });
  }
  throw new Error('expected an LspError but nothing was thrown');
}

export function expectError(error: LspError, code: LspErrorCode, text: string | RegExp): void {
  expect({ code: error.code, message: error.message }).toEqual({
    code,
    message: expect.stringMatching(text) as string,
  });
}
