import { LspError } from '../../lib/errors';
import {
  checkOptions,
  describe as describeValue,
  expectInteger,
  expectNumber,
  expectOneOf,
  expectUint64,
} from '../../lib/options';

function errorOf(run: () => unknown): LspError {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(LspError);
    return error as LspError;
  }
  throw new Error('expected a failure');
}

describe('option checks', () => {
  test('an unknown key names the option that was meant', () => {
    const error = errorOf(() => checkOptions({ maxNewToken: 3 }, ['maxNewTokens', 'seed'], 'generate'));
    expect(error.code).toBe('UNKNOWN_OPTION');
    expect(error.message).toBe(
      'Expected a known option for `generate` but received "maxNewToken". Did you mean `maxNewTokens`?',
    );
  });

  test('a far-off key lists what is known', () => {
    const error = errorOf(() => checkOptions({ zzzzzz: 3 }, ['maxNewTokens', 'seed'], 'generate'));
    expect(error.message).toContain('Known options: maxNewTokens, seed.');
  });

  test('not an object', () => {
    for (const value of [null, 3, 'x', [1], new Float32Array(1)]) {
      expect(errorOf(() => checkOptions(value as object, [], 'f')).code).toBe('INVALID_ARGUMENT');
    }
    expect(checkOptions(undefined, [], 'f')).toEqual({});
  });

  test.each([NaN, 1.5, '3', 2 ** 60, -1, 11, null, undefined, 3n])(
    'integer in [0, 10] refuses %p',
    (value) => {
      const error = errorOf(() => expectInteger('n', value, { min: 0, max: 10 }));
      expect(error.message).toContain(
        'Expected an integer of at least 0 and at most 10 for `n` but received',
      );
    },
  );

  test.each([NaN, Infinity, '1', 0, 1.01])('number in (0, 1] refuses %p', (value) => {
    expect(errorOf(() => expectNumber('p', value, { above: 0, max: 1 })).code).toBe('INVALID_ARGUMENT');
  });

  test('accepted values come back', () => {
    expect(expectInteger('n', 10, { max: 10 })).toBe(10);
    expect(expectNumber('p', 1, { above: 0, max: 1 })).toBe(1);
    expect(expectUint64('seed', 2n ** 64n - 1n)).toBe(2n ** 64n - 1n);
    expect(expectUint64('seed', 7)).toBe(7n);
    expect(errorOf(() => expectUint64('seed', 2n ** 64n)).code).toBe('INVALID_ARGUMENT');
    expect(errorOf(() => expectUint64('seed', -1)).code).toBe('INVALID_ARGUMENT');
  });

  test('a choice is suggested', () => {
    expect(errorOf(() => expectOneOf('device', 'cpuu', ['auto', 'cpu'])).message).toContain(
      "Did you mean 'cpu'?",
    );
  });

  test('descriptions are short and total', () => {
    expect(describeValue('x'.repeat(1e6)).length).toBeLessThan(120);
    expect(describeValue(Object.create(null))).toBe('an object');
    expect(describeValue(new Int32Array(3))).toBe('a Int32Array of 3');
    expect(describeValue(new Map())).toBe('an instance of Map');
  });
});
