/**
 * Self-play with a reward of your own. Usage: npx ts-node examples/train-custom-reward.ts <model> [directory]
 *
 * The reward is the share of words that are short: easy to see in the answers when it works.
 */
import { FunctionReward, LanguageModel, Learner, LspTrainer } from 'lsp';

const shortWords = new FunctionReward(({ answer }) => {
  const words = answer.split(/\s+/).filter((word) => word !== '');
  return words.length === 0 ? 0 : words.filter((word) => word.length <= 5).length / words.length;
});

async function main(path: string, directory: string | undefined): Promise<void> {
  await using model = await LanguageModel.load(path);
  await using learner = await Learner.create(model, { learningRate: 1e-5 });
  await using trainer = new LspTrainer({
    learner,
    reward: shortWords,
    challenger: { queries: 4, maxNewTokens: 32 },
    solver: { answers: 4, maxNewTokens: 48 },
  });

  for await (const { metrics, samples } of trainer.run({ steps: 2 })) {
    console.log(`step ${metrics.step}: reward ${metrics.value?.toFixed(2) ?? 'none'}`);
    console.log(`  ${samples[0]!.written} → ${samples[0]!.answers[0]?.text ?? samples[0]!.rejected ?? ''}`);
  }
  if (directory !== undefined) await model.save(directory); // a Hugging Face directory
}

main(process.argv[2] ?? '../SmolLM2-135M-Instruct.Q4_1.gguf', process.argv[3]).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
