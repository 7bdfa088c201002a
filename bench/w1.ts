/**
 * Workload W1, phase by phase: 8 queries × 4 answers, 64 prompt tokens, exactly 128 sampled tokens each, reference
 * log-probabilities, one policy update (ratio and k3 KL, β 0.04) with AdamW.
 *
 *   npx ts-node bench/w1.ts MODEL [steps] [threads] [--queries N] [--answers N] [--prompt-tokens N] [--new-tokens N]
 *     [--mode exact|lora|fast] [--compute f32|bf16]
 *
 * Prints one JSON line a step (seconds; tokens a second), with the process's peak memory so far as the system counts it.
 * Only ratios to other programs measured in the same sitting mean anything.
 */
import { Command } from 'commander';
import {
  BENCH_MODES,
  type BenchMode,
  type Compute,
  openTraining,
  peakMemoryBytes,
  timeSteps,
  W1,
  type Workload,
} from '../lib';

interface Flags extends Workload {
  mode: BenchMode;
  compute?: Compute;
}

const command = new Command('w1')
  .argument('<model>', 'whatever lsp loads')
  .argument('[steps]', 'steps of training', Number, 3)
  .argument('[threads]', 'compute threads', Number, 2)
  .option('--queries <n>', 'prompts', Number, W1.queries)
  .option('--answers <n>', 'answers of each', Number, W1.answers)
  .option('--prompt-tokens <n>', 'tokens of a prompt', Number, W1.promptTokens)
  .option('--new-tokens <n>', 'tokens of an answer', Number, W1.newTokens)
  .option('--mode <name>', BENCH_MODES.join(', '), 'exact')
  .option('--compute <name>', 'f32 or bf16 (default: what fits the mode)')
  .action(async (model: string, steps: number, threads: number, { mode, compute, ...workload }: Flags) => {
    await using training = await openTraining(model, { threads, mode, compute });
    for await (const times of timeSteps(training, workload)) {
      const figures = Object.entries(times).map(([name, value]) => [name, Number(value.toFixed(3))]);
      const peakMemoryGb = peakMemoryBytes() / 1e9;
      process.stdout.write(`${JSON.stringify({ ...Object.fromEntries(figures), peakMemoryGb })}\n`);
      if (times.step >= steps) break;
    }
  });

command.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
});
