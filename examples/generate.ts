/** Loads a model, chats with it, and streams an answer. Usage: npx ts-node examples/generate.ts <model> */
import { LanguageModel, type ChatMessage } from 'lsp';

async function main(path: string): Promise<void> {
  await using model = await LanguageModel.load(path);
  const messages: ChatMessage[] = [{ role: 'user', content: 'Name three rivers.' }];

  // Two answers to one prompt: [prompt][sample]. The same seed gives the same answers on any machine.
  const [answers] = await model.generate([messages], { samples: 2, maxNewTokens: 24, seed: 1 });
  for (const { text, finishReason } of answers!) console.log(`(${finishReason}) ${text}`);

  // Greedy, piece by piece; leaving the loop ends the generation.
  for await (const piece of model.stream(messages, { temperature: 0, maxNewTokens: 24 })) {
    process.stdout.write(piece);
  }
  process.stdout.write('\n');
}

main(process.argv[2] ?? '../SmolLM2-135M-Instruct.Q4_1.gguf').catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
