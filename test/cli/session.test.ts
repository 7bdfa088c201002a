/** What a session does about failures, apart from a run: see train.test.ts for the whole. */
import { keepsSteps, runAll } from '../../lib/cli/training/session';
import { LspError, type LspErrorCode } from '../../lib/errors';

test.each<[LspErrorCode, boolean]>([
  ['REWARD_FAILED', true],
  ['PROMPT_TOO_LONG', true],
  ['INVALID_ARGUMENT', true],
  ['INTERNAL', true],
  ['TRAINING_DIVERGED', false],
  ['IO_ERROR', false],
  ['OUT_OF_MEMORY', false],
])('the steps before %s are kept: %s', (code, kept) => {
  expect(keepsSteps(new LspError(code, 'made up'))).toBe(kept);
});

test('so are those before an error of other code', () => expect(keepsSteps(new TypeError('x'))).toBe(true));

test('one failing cleanup leaves none of the others undone; the first failure is told', async () => {
  const done: number[] = [];
  const fail = (index: number) => async () => {
    done.push(index);
    throw new Error(`failure ${index}`);
  };
  const succeed = async () => void done.push(1);
  const synchronous = () => {
    done.push(3);
    throw new Error('failure 3');
  };
  await expect(runAll([fail(0), succeed, fail(2), synchronous, succeed])).rejects.toThrow('failure 0');
  expect(done).toEqual([0, 1, 2, 3, 1]);
  await expect(runAll([succeed])).resolves.toBeUndefined();
});
