/** A tiny computation by the kernels, small enough to be done again in JavaScript. */
import { kernels } from '../../native/kernels';

/** Odd sizes: no instruction set has vectors that fit them. */
const SIZES = { rows: 3, inputs: 67, outputs: 21 };

export interface SelfCheck {
  /** Whether the matrix product is the one that JavaScript computes, up to rounding in f32. */
  correct: boolean;
  /** The results to the bit: equal strings are equal results. */
  bits: string;
}

export async function selfCheck(): Promise<SelfCheck> {
  const { rows, inputs, outputs } = SIZES;
  const x = wave(rows * inputs, 0.7);
  const weight = wave(outputs * inputs, 1.3);
  const product = await kernels.linear(x, weight, SIZES);
  const targets = Int32Array.from({ length: rows }, (_, row) => row);
  const head = { rows, columns: inputs, vocab: outputs };
  const { logprobs, entropies } = await kernels.logprob(x, weight, targets, head);
  return { correct: isProduct(product, x, weight), bits: bitsOf(product, logprobs, entropies) };
}

function wave(length: number, pace: number): Float32Array {
  return Float32Array.from({ length }, (_, index) => Math.sin(pace * (index + 1)));
}

function isProduct(product: Float32Array, x: Float32Array, weight: Float32Array): boolean {
  const { rows, inputs, outputs } = SIZES;
  for (let row = 0; row < rows; row += 1) {
    for (let output = 0; output < outputs; output += 1) {
      let sum = 0;
      let magnitude = 0;
      for (let input = 0; input < inputs; input += 1) {
        const term = x[row * inputs + input]! * weight[output * inputs + input]!;
        sum += term;
        magnitude += Math.abs(term);
      }
      // Each of the additions may round by half a unit in the last place of a sum that is at most `magnitude`.
      const tolerance = inputs * 2 ** -24 * magnitude;
      if (!(Math.abs(product[row * outputs + output]! - sum) <= tolerance)) return false;
    }
  }
  return product.length === rows * outputs;
}

function bitsOf(...arrays: Float32Array[]): string {
  const bytes = arrays.map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength),
  );
  return Buffer.concat(bytes).toString('base64');
}
