/** Single kernels against the same formula in double precision. */
import { loadAddon } from '../../lib/native/load';
import { codeOf } from '../support/native-model';
import { seededNormal } from '../support/tiny-model';

const { kernels } = loadAddon();
const random = seededNormal(3);
const floats = (count: number) => Float32Array.from({ length: count }, random);

/** The largest difference, relative to the largest value. */
function worst(actual: Float32Array, expected: readonly number[]): number {
  expect(actual).toHaveLength(expected.length);
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, index) => Math.abs(actual[index]! - value))) / scale;
}

/** Sums of some 40 terms round to 2^-24 each; the errors of a chain stay well below their sum. */
const TOLERANCE = 40 * 2 ** -24;

function product(
  x: Float32Array,
  weight: Float32Array,
  rows: number,
  inputs: number,
  outputs: number,
): number[] {
  return Array.from({ length: rows * outputs }, (_, at) => {
    const [row, output] = [Math.floor(at / outputs), at % outputs];
    let sum = 0;
    for (let k = 0; k < inputs; k += 1) sum += x[row * inputs + k]! * weight[output * inputs + k]!;
    return sum;
  });
}

test.each([
  [1, 1, 1],
  [3, 37, 41],
])('linear of %i rows, %i inputs, %i outputs', async (rows, inputs, outputs) => {
  const [x, weight] = [floats(rows * inputs), floats(outputs * inputs)];
  const y = await kernels.linear(x, weight, { rows, inputs, outputs });
  expect(worst(y, product(x, weight, rows, inputs, outputs))).toBeLessThan(TOLERANCE);
});

test('rmsNorm', async () => {
  const [rows, columns, eps] = [5, 33, 1e-5];
  const [x, weight] = [floats(rows * columns), floats(columns)];
  const expected = Array.from(x, (value, at) => {
    const row = x.subarray(at - (at % columns), at - (at % columns) + columns);
    const mean = row.reduce((sum, each) => sum + each * each, 0) / columns;
    return (weight[at % columns]! * value) / Math.sqrt(mean + eps);
  });
  expect(worst(await kernels.rmsNorm(x, weight, { rows, columns, eps }), expected)).toBeLessThan(TOLERANCE);
});

test('swiglu', async () => {
  const [gate, up] = [floats(75), floats(75)];
  const expected = Array.from(gate, (value, at) => (value / (1 + Math.exp(-value))) * up[at]!);
  expect(worst(await kernels.swiglu(gate, up), expected)).toBeLessThan(TOLERANCE);
  expect(await kernels.swiglu(new Float32Array(), new Float32Array())).toHaveLength(0);
});

test('logprob', async () => {
  const [rows, columns, vocab] = [4, 24, 700];
  const [hidden, weight] = [floats(rows * columns), floats(vocab * columns)];
  const targets = Int32Array.of(0, 699, 512, 511);
  const logits = product(hidden, weight, rows, columns, vocab);
  const scores = Array.from(targets, (target, row) => {
    const own = logits.slice(row * vocab, (row + 1) * vocab);
    const lse = Math.log(own.reduce((sum, logit) => sum + Math.exp(logit), 0));
    const entropy = own.reduce((sum, logit) => sum - Math.exp(logit - lse) * (logit - lse), 0);
    return { logprob: own[target]! - lse, entropy };
  });
  const { logprobs, entropies } = await kernels.logprob(hidden, weight, targets, { rows, columns, vocab });
  expect(
    worst(
      logprobs,
      scores.map(({ logprob }) => logprob),
    ),
  ).toBeLessThan(TOLERANCE);
  // The entropy is a difference of two numbers some four times its size.
  expect(
    worst(
      entropies,
      scores.map(({ entropy }) => entropy),
    ),
  ).toBeLessThan(4 * TOLERANCE);
});

test('sizes that do not fit the arrays are refused', async () => {
  const [four, five] = [floats(4), floats(5)];
  const wrong = [
    kernels.linear(four, four, { rows: 2, inputs: 2, outputs: 3 }),
    kernels.linear(four, four, { rows: 2 ** 30, inputs: 2 ** 30, outputs: 2 ** 30 }),
    kernels.linear(four, four, { rows: 0, inputs: 2, outputs: 2 }),
    kernels.linear(four, four, undefined as never),
    kernels.rmsNorm(four, five, { rows: 1, columns: 4, eps: 0 }),
    kernels.rmsNorm(four, four, { rows: 1, columns: 4, eps: NaN }),
    kernels.swiglu(four, five),
    kernels.logprob(four, four, Int32Array.of(2), { rows: 1, columns: 4, vocab: 1 }),
    kernels.logprob(four, four, Int32Array.of(-1), { rows: 1, columns: 4, vocab: 1 }),
  ];
  for (const call of wrong) expect(await codeOf(call)).toBe('INVALID_ARGUMENT');
});
