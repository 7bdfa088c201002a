/**
 * One kernel, used directly: the fused LM head, which computes log-probabilities and entropies without ever holding a
 * [rows × vocabulary] tensor. Compared with the definition, in double precision. Usage: npx ts-node examples/kernel-direct.ts
 */
import { kernels } from 'lsp';

const rows = 4;
const columns = 8;
const vocab = 1000;

/** Numbers in [−1, 1) that are the same everywhere. */
const numbers = (count: number, seed: number) =>
  Float32Array.from({ length: count }, (_, i) => ((i * 2654435761 + seed * 40503) % 2 ** 32) / 2 ** 31 - 1);

async function main(): Promise<void> {
  const hidden = numbers(rows * columns, 1); // (rows, columns)
  const weight = numbers(vocab * columns, 2); // (vocab, columns)
  const targets = Int32Array.from([0, 7, 500, 999]);
  const { logprobs, entropies } = await kernels.logprob(hidden, weight, targets, { rows, columns, vocab });

  for (let row = 0; row < rows; row++) {
    const logits = Array.from({ length: vocab }, (_, token) => {
      let sum = 0;
      for (let c = 0; c < columns; c++) sum += hidden[row * columns + c]! * weight[token * columns + c]!;
      return sum;
    });
    const largest = Math.max(...logits);
    const logSumExp = largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
    const expected = logits[targets[row]!]! - logSumExp;
    const difference = Math.abs(logprobs[row]! - expected);
    console.log(`row ${row}: log p ${logprobs[row]!.toFixed(5)}, entropy ${entropies[row]!.toFixed(5)}`);
    // f32 sums of 8 products and of 1000 exponentials: a few units in the last place of numbers below 10.
    if (difference > 1e-5) throw new Error(`row ${row}: expected ${expected} but received ${logprobs[row]!}`);
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
