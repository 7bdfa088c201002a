/**
 * Workload W1, phase by phase: 8 queries x 4 answers, 64 prompt tokens, exactly 128 sampled tokens each, reference
 * log-probabilities, one policy update (clipped ratio and k3 KL, beta 0.04), full fine-tune with AdamW, f32.
 *
 *   npx ts-node bench/w1.ts MODEL [steps] [threads]
 *
 * Prints one JSON line per step (seconds; tokens a second), the last with the process's peak memory. Only ratios to
 * other programs measured in the same sitting mean anything.
 */
import { readFileSync } from 'node:fs';
import { LanguageModel, Learner } from '../lib';

const QUERIES = 8;
const ANSWERS = 4;
const PROMPT_TOKENS = 64;
const NEW_TOKENS = 128;

/** Any ids will do; the same ones in every run. */
function randomPrompts(): Int32Array[] {
  let state = 1;
  const next = () => (state = (state * 48271) % 2147483647);
  return Array.from({ length: QUERIES }, () =>
    Int32Array.from({ length: PROMPT_TOKENS }, () => 10 + (next() % 40000)),
  );
}

function peakMemoryGb(): number {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
  return line ? Number(line[1]) / 1e6 : NaN;
}

async function main(): Promise<void> {
  const [source, steps = '3', threads = '2'] = process.argv.slice(2);
  if (!source) throw new Error('usage: npx ts-node bench/w1.ts MODEL [steps] [threads]');
  await using model = await LanguageModel.load(source, { threads: Number(threads) });
  await using reference = await model.clone();
  await using learner = await Learner.create(model, { learningRate: 1e-6, maxGradNorm: 1 });
  const prompts = randomPrompts();
  for (let step = 0; step < Number(steps); step++) {
    const start = performance.now();
    const completions = await model.generate(prompts, {
      samples: ANSWERS,
      maxNewTokens: NEW_TOKENS,
      minNewTokens: NEW_TOKENS,
      seed: step,
    });
    const rolledOut = performance.now();
    const sequences = completions.flatMap((group, i) =>
      group.map((c) => Int32Array.of(...prompts[i]!, ...c.tokens)),
    );
    const referenceLogprobs = await reference.logprobs(sequences, {
      promptLengths: sequences.map(() => PROMPT_TOKENS),
    });
    const referenced = performance.now();
    const groups = completions.map((group, i) => ({
      prompt: prompts[i]!,
      completions: group.map((c) => c.tokens),
    }));
    const gradients = completions.map((group, i) =>
      group.map((c, j) => {
        const advantage = ((i * ANSWERS + j) % 7) - 3;
        const r = referenceLogprobs[i * ANSWERS + j]!;
        const tokens = QUERIES * ANSWERS * NEW_TOKENS;
        return c.logprobs.map((logprob, t) => (-advantage + 0.04 * (1 - Math.exp(r[t]! - logprob))) / tokens);
      }),
    );
    await learner.accumulate(groups, gradients);
    const accumulated = performance.now();
    await learner.step();
    const stepped = performance.now();
    const seconds = (from: number, to: number) => Number(((to - from) / 1000).toFixed(3));
    const tokens = QUERIES * ANSWERS * NEW_TOKENS;
    process.stdout.write(
      `${JSON.stringify({
        step: step + 1,
        rolloutSeconds: seconds(start, rolledOut),
        rolloutTokensPerSecond: Math.round((tokens * 1000) / (rolledOut - start)),
        referenceSeconds: seconds(rolledOut, referenced),
        updateSeconds: seconds(referenced, stepped),
        optimizerSeconds: seconds(accumulated, stepped),
        totalSeconds: seconds(start, stepped),
        peakMemoryGb: peakMemoryGb(),
      })}\n`,
    );
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
});
