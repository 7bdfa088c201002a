/**
 * Self-play in the tiny world, measured on held-out tasks. Usage: npx ts-node examples/tiny-world.ts [model]
 *
 * With the bundled model a minute is enough to see it get better.
 */
import { duplicateGate, LanguageModel, Learner, LspTrainer, world } from 'lsp';

async function main(source: string): Promise<void> {
  await using model = await LanguageModel.load(source);
  await using learner = await Learner.create(model, { learningRate: 3e-4 });
  await using trainer = new LspTrainer({
    learner,
    reward: new world.WorldReward(),
    challenger: { task: world.tinyWorld(), queries: 76, maxNewTokens: 32 },
    solver: { answers: 8, maxNewTokens: 24 },
    gate: duplicateGate({ threshold: 1 }), // a task is asked once; likeness says nothing about tasks this short
    duplicates: { threshold: 1 },
    kl: { coefficient: 0 },
  });

  const show = async (when: string) => {
    const { accuracy } = await world.evaluateWorld(model);
    console.log(`${when}: ${(100 * accuracy).toFixed(1)} % of the held-out tasks`);
  };
  await show('before');
  for await (const { metrics } of trainer.run({ steps: 20 })) {
    const { step, validQueries, queries, value, difficulty } = metrics;
    console.log(
      `step ${step}: ${validQueries} of ${queries} queries are tasks, of difficulty ` +
        `${difficulty?.mean.toFixed(1) ?? '–'}; reward ${value?.toFixed(2) ?? '–'}`,
    );
  }
  await show('after');
}

main(process.argv[2] ?? 'tiny').catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
