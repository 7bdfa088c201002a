/**
 * Another game on the same trainer: R-Zero's (arXiv 2508.05004), written as a user would write it.
 * Usage: npx ts-node examples/custom-objective.ts <model>
 *
 * The Challenger is paid 1 − 2·|s − ½|, s the share of reward the Solver wins (most at one half), less the share of
 * the batch that its query's near-duplicates make up, and never less than 0.
 */
import { LanguageModel, Learner, LspTrainer, VerifiableInstructions, type Objective } from 'lsp';

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

const rZero: Objective = ({ queries }) => {
  const scores = queries.map(({ rewards }) => rewards.map((reward) => reward ?? 0));
  const clusterSize = (cluster: number) => queries.filter((query) => query.cluster === cluster).length;
  const pay = queries.map(({ valid, cluster }, i) => {
    if (!valid) return -0.1; // below any valid query: otherwise it would never learn to be valid
    const share = mean(scores[i]!);
    return Math.max(0, 1 - 2 * Math.abs(share - 0.5) - clusterSize(cluster) / queries.length);
  });
  return {
    solver: scores.map((group) => Float32Array.from(group, (score) => score - mean(group))),
    challenger: Float32Array.from(pay, (value) => value - mean(pay)),
  };
};

async function main(path: string): Promise<void> {
  await using model = await LanguageModel.load(path);
  await using learner = await Learner.create(model, { learningRate: 1e-5 });
  await using trainer = new LspTrainer({
    learner,
    reward: new VerifiableInstructions(),
    objective: rZero,
    challenger: { queries: 4, maxNewTokens: 32 },
    solver: { answers: 4, maxNewTokens: 48 },
  });
  for await (const { metrics, samples } of trainer.run({ steps: 2 })) {
    const advantages = samples.map(({ advantage }) => advantage?.toFixed(2));
    console.log(`step ${metrics.step}: challenger advantages ${advantages.join(' ')}`);
  }
}

main(process.argv[2] ?? '../SmolLM2-135M-Instruct.Q4_1.gguf').catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
