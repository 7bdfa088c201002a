/**
 * Makes the bundled tiny model from nothing: tokenizer, random weights, supervised pre-training on chats in the three
 * roles of self-play, with a fixed seed.
 *
 *     npx ts-node examples/tiny-model/pretrain.ts runs/tiny-model
 *
 * A number after the directory makes it stop after so many steps: quick to try, but not the bundled model.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import { cosine, initializeModel, LanguageModel, Learner, warmUp } from 'lsp';
import { chat, CHATS, SEED } from './corpus';
import { report } from './report';
import { makeTokenizer } from './tokenizer';

/** Chats a step. */
const BATCH = 256;
const STEPS = CHATS / BATCH;
const WARM_UP = 50;
/** Chats whose words become the vocabulary. */
const VOCABULARY_SAMPLE = 20_000;

/** 1.2 million parameters. */
const CONFIG = {
  architecture: 'llama',
  hiddenSize: 128,
  intermediateSize: 384,
  numLayers: 6,
  numHeads: 4,
  numKeyValueHeads: 2,
  headSize: 32,
  vocabSize: 416,
  maxPositions: 512,
  rmsNormEps: 1e-5,
  ropeTheta: 10_000,
  tiedEmbeddings: true,
  bosTokenId: null,
  eosTokenIds: [0],
  padTokenId: null,
};

async function main(out: string, steps: number): Promise<void> {
  if (!Number.isInteger(steps) || steps < 1 || steps > STEPS) throw new Error(`steps: 1 to ${STEPS}`);
  const scratch = await mkdtemp(join(tmpdir(), 'tiny-model-'));
  try {
    const sample = Array.from({ length: VOCABULARY_SAMPLE }, (_, index) => chat(index));
    const texts = sample.flatMap(({ messages, reply }) => [messages[0]!.content, reply]);
    const tokenizer = makeTokenizer(texts, CONFIG.vocabSize);
    await initializeModel(scratch, { config: CONFIG, tokenizer, seed: SEED });
    await using model = await LanguageModel.load(scratch);
    await pretrain(model, steps);
    await model.save(out, { dtype: 'bf16' });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  await using model = await LanguageModel.load(out); // as stored: bf16 rounds the weights
  await report(model);
}

async function pretrain(model: LanguageModel, steps: number): Promise<void> {
  const decay = cosine({ learningRate: 2e-3, steps: STEPS - WARM_UP, finalRate: 3e-5 });
  await using learner = await Learner.create(model, {
    learningRate: warmUp(WARM_UP, decay),
    betas: [0.9, 0.98],
    weightDecay: 0.01,
  });
  const bar = new SingleBar({
    format: '{bar} {value}/{total} steps · loss {loss} · ETA {eta_formatted}',
    noTTYOutput: true,
    notTTYSchedule: 20_000,
  });
  bar.start(steps, 0, { loss: '–' });
  try {
    for (let step = 0; step < steps; step++) {
      const loss = await trainOn(learner, model, step);
      bar.update(step + 1, { loss: loss.toFixed(3) });
    }
  } finally {
    bar.stop();
  }
}

/** One update on the mean cross-entropy of a batch's replies, per token. Returns it in nats. */
async function trainOn(learner: Learner, model: LanguageModel, step: number): Promise<number> {
  const { tokenizer } = model;
  const end = tokenizer.eosTokenIds[0]!;
  const groups = Array.from({ length: BATCH }, (_, i) => {
    const { messages, reply } = chat(step * BATCH + i);
    // As encodeChat would, in half the time: no text of the corpus spells out a special token.
    const prompt = tokenizer.encode(tokenizer.applyChatTemplate(messages), { parseSpecial: true });
    return { prompt, completion: Int32Array.of(...tokenizer.encode(reply), end) };
  });
  const tokens = groups.reduce((sum, { completion }) => sum + completion.length, 0);
  const { logprobs } = await learner.accumulate(
    groups.map(({ prompt, completion }) => ({ prompt, completions: [completion] })),
    groups.map(({ completion }) => [new Float32Array(completion.length).fill(-1 / tokens)]),
  );
  await learner.step();
  const total = logprobs.flat().reduce((sum, values) => values.reduce((a, b) => a + b, sum), 0);
  return -total / tokens;
}

const [out = 'runs/tiny-model', steps = STEPS] = process.argv.slice(2);
main(out, Number(steps)).catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
