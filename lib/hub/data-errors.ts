/** The error of data files, worded alike for every format. */
import { LspError } from '../errors';

/** The `INVALID_ARGUMENT` error of a file that does not hold what it should; throw what it returns. */
export function damaged(where: string, expected: string, received: string, cause?: unknown): LspError {
  return new LspError('INVALID_ARGUMENT', `Expected ${expected} in ${where} but received ${received}.`, {
    remedy: 'Mend the file, or get it again.',
    cause,
  });
}
