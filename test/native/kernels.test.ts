import { kernels } from '../../lib/native/kernels';

/** Numbers in [−1, 1), the same at every run. */
function numbers(count: number, seed: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * seed));
}

/** Largest |got − expected|; also fails on a different length. */
function worst(got: Float32Array, expected: number[]): number {
  expect(got).toHaveLength(expected.length);
  return expected.reduce((most, value, i) => Math.max(most, Math.abs(value - got[i]!)), 0);
}

// Sums of fewer than 100 f32 products of numbers below 1: at most 100 roundings of 2^-24 each, relative to sums below 100.
const tolerance = 1e-5;

describe('single kernels', () => {
  test('linear is x times the transposed weight', async () => {
    const [rows, inputs, outputs] = [5, 33, 17];
    const x = numbers(rows * inputs, 1);
    const weight = numbers(outputs * inputs, 2);
    const expected: number[] = [];
    for (let row = 0; row < rows; row++) {
      for (let output = 0; output < outputs; output++) {
        let sum = 0;
        for (let i = 0; i < inputs; i++) sum += x[row * inputs + i]! * weight[output * inputs + i]!;
        expected.push(sum);
      }
    }
    expect(worst(await kernels.linear(x, weight, { rows, inputs, outputs }), expected)).toBeLessThan(
      tolerance,
    );
  });

  test('rmsNorm scales each row to unit mean square', async () => {
    const [rows, columns, eps] = [3, 20, 1e-5];
    const x = numbers(rows * columns, 3);
    const weight = numbers(columns, 4);
    const expected: number[] = [];
    for (let row = 0; row < rows; row++) {
      const values = [...x.subarray(row * columns, (row + 1) * columns)];
      const meanSquare = values.reduce((sum, value) => sum + value * value, 0) / columns;
      values.forEach((value, i) => expected.push((weight[i]! * value) / Math.sqrt(meanSquare + eps)));
    }
    expect(worst(await kernels.rmsNorm(x, weight, { rows, columns, eps }), expected)).toBeLessThan(tolerance);
  });

  test('swiglu gates elementwise', async () => {
    const gate = numbers(37, 5);
    const up = numbers(37, 6);
    const expected = [...gate].map((value, i) => (value / (1 + Math.exp(-value))) * up[i]!);
    expect(worst(await kernels.swiglu(gate, up), expected)).toBeLessThan(tolerance);
  });

  test('logprob is the log-softmax of hidden times weight, and its entropy', async () => {
    const [rows, columns, vocab] = [4, 16, 50];
    const hidden = numbers(rows * columns, 7);
    const weight = numbers(vocab * columns, 8);
    const targets = Int32Array.from([0, 7, 25, 49]);
    const expectedLogprobs: number[] = [];
    const expectedEntropies: number[] = [];
    for (let row = 0; row < rows; row++) {
      const logits = Array.from({ length: vocab }, (_, token) => {
        let sum = 0;
        for (let c = 0; c < columns; c++) sum += hidden[row * columns + c]! * weight[token * columns + c]!;
        return sum;
      });
      const logSumExp = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
      expectedLogprobs.push(logits[targets[row]!]! - logSumExp);
      expectedEntropies.push(
        -logits.reduce((sum, logit) => sum + Math.exp(logit - logSumExp) * (logit - logSumExp), 0),
      );
    }
    const { logprobs, entropies } = await kernels.logprob(hidden, weight, targets, { rows, columns, vocab });
    expect(worst(logprobs, expectedLogprobs)).toBeLessThan(tolerance);
    expect(worst(entropies, expectedEntropies)).toBeLessThan(tolerance);
  });

  test('an array that does not fit its shape is refused by name', async () => {
    const call = kernels.linear(new Float32Array(5), new Float32Array(6), { rows: 2, inputs: 3, outputs: 2 });
    await expect(call).rejects.toThrow('Expected 6 values for `x` but received 5.');
    await expect(call).rejects.toMatchObject({ name: 'LspError', code: 'INVALID_ARGUMENT' });
    const targets = kernels.logprob(new Float32Array(2), new Float32Array(6), Int32Array.of(3), {
      rows: 1,
      columns: 2,
      vocab: 3,
    });
    await expect(targets).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
