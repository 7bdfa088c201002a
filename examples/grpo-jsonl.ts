/**
 * GRPO on queries of a file, one JSON object a line: `prompt` (or `messages`), all other fields are for the reward.
 * Usage: npx ts-node examples/grpo-jsonl.ts <model> [queries.jsonl]
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cosine, FunctionReward, GrpoTrainer, LanguageModel, Learner } from 'lsp';

const containsExpected = new FunctionReward(({ answer, info }) =>
  answer.toLowerCase().includes(String(info['expected'])) ? 1 : 0,
);

async function main(path: string, queries: string): Promise<void> {
  await using model = await LanguageModel.load(path);
  await using learner = await Learner.create(model, {
    learningRate: cosine({ learningRate: 1e-5, steps: 2 }),
  });
  await using trainer = new GrpoTrainer({
    learner,
    queries,
    queriesPerStep: 2,
    reward: containsExpected,
    solver: { answers: 4, maxNewTokens: 32 },
  });
  for await (const { metrics } of trainer.run({ steps: 2 })) {
    console.log(
      `step ${metrics.step}: reward ${metrics.value?.toFixed(2) ?? 'none'} ${metrics.noSignal ?? ''}`,
    );
  }
}

/** A file of its own, so that the example runs without one. */
function writeSampleQueries(): string {
  const rows = [
    { prompt: 'What is the capital of France?', expected: 'paris' },
    { prompt: 'Which planet is closest to the sun?', expected: 'mercury' },
    { prompt: 'What colour is a ripe lemon?', expected: 'yellow' },
  ];
  const file = join(mkdtempSync(join(tmpdir(), 'lsp-example-')), 'queries.jsonl');
  writeFileSync(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return file;
}

main(process.argv[2] ?? '../SmolLM2-135M-Instruct.Q4_1.gguf', process.argv[3] ?? writeSampleQueries()).catch(
  (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
  },
);
