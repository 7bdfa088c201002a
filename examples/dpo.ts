/**
 * DPO (arXiv 2305.18290): learning from pairs of replies, of which one is preferred.
 * Usage: npx ts-node examples/dpo.ts <model>
 *
 * Pairs may come from rewards as well: `bestAndWorst(prompt, completions, rewards)` makes one of a group of answers.
 */
import {
  completionLogprobs,
  dpo,
  encodePreference,
  LanguageModel,
  Learner,
  pairGradient,
  type PairGradient,
} from 'lsp';

const PREFERENCES = [
  { prompt: 'What is the capital of France?', chosen: 'Paris.', rejected: 'That is a good question!' },
  { prompt: 'How many legs has a spider?', chosen: 'Eight.', rejected: 'Spiders are fascinating animals.' },
  { prompt: 'What is 2 + 2?', chosen: '4.', rejected: 'Let me tell you about numbers.' },
];

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

async function main(path: string): Promise<void> {
  await using model = await LanguageModel.load(path);
  const pairs = PREFERENCES.map((row) => encodePreference(model.tokenizer, row));
  // The reference is the model as it is now: its log-probabilities are all that is needed of it.
  const reference = await completionLogprobs(model, pairs);
  await using learner = await Learner.create(model, { learningRate: 1e-5 });
  for (let step = 1; step <= 5; step++) {
    const results: PairGradient[] = [];
    await learner.accumulate(
      pairs,
      pairGradient(dpo({ beta: 0.1 }), reference, (result) => results.push(result)),
    );
    await learner.step();
    const loss = mean(results.map((result) => result.loss));
    const margin = mean(results.map((result) => result.margin));
    console.log(`step ${step}: loss ${loss.toFixed(4)}, margin ${margin.toFixed(4)}`);
  }
}

main(process.argv[2] ?? '../SmolLM2-135M-Instruct.Q4_1.gguf').catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
