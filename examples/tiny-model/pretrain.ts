/**
 * Makes the bundled tiny model from nothing: tokenizer, random weights, supervised pre-training on chats in the three
 * roles of self-play. One command, a fixed seed, the same bytes on every machine.
 *
 *     npx ts-node examples/tiny-model/pretrain.ts runs/tiny-model
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import { cosine, Learner, LanguageModel, warmUp } from '../../lib';
import { initializeModel } from '../../lib/model/initialize';
import { randomFor } from '../../lib/lsp/random';
import { evaluateWorld, heldOutTasks, measureWorldJudge, worldJudge } from '../../lib/world';
import { demonstrate, type Demonstration } from './corpus';
import { makeTokenizer } from './tokenizer';

const SEED = 2026n;
const STEPS = Number(process.env['STEPS'] ?? 2600);
const BATCH = 256;

/** Share of the steps that are taken from the textbook, before the pupils' part. */
const TEXTBOOK = 0.85;

/** 1.2 million parameters. */
const GEOMETRY = {
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

/** Chat number `index` of the corpus: the same at any time, whatever was asked before. */
const chat = (index: number): Demonstration =>
  demonstrate(index < TEXTBOOK * STEPS * BATCH ? 'textbook' : 'pupils', randomFor(SEED, 0, 'draw', index));

async function main(out: string): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'tiny-model-'));
  try {
    const sample = Array.from({ length: 20_000 }, (_, i) => chat(i));
    const texts = sample.flatMap(({ messages, reply }) => [messages[0]!.content, reply]);
    await initializeModel(scratch, {
      config: GEOMETRY,
      tokenizer: makeTokenizer(texts, GEOMETRY.vocabSize),
      seed: SEED,
    });
    await using model = await LanguageModel.load(scratch);
    await pretrain(model);
    await model.save(out, { dtype: 'bf16' });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  await using model = await LanguageModel.load(out);
  await report(model);
}

async function pretrain(model: LanguageModel): Promise<void> {
  await using learner = await Learner.create(model, {
    learningRate: warmUp(
      50,
      cosine({ learningRate: Number(process.env['LR'] ?? 3e-3), steps: STEPS - 50, finalRate: 3e-5 }),
    ),
    betas: [0.9, 0.98],
    weightDecay: 0.01,
  });
  const bar = new SingleBar({
    format: '{bar} {value}/{total} steps · loss {loss} · ETA {eta_formatted}',
    noTTYOutput: true,
    notTTYSchedule: 20000,
  });
  bar.start(STEPS, 0, { loss: '–' });
  for (let step = 0; step < STEPS; step++) {
    const loss = await trainOn(learner, model, step);
    bar.update(step + 1, { loss: loss.toFixed(3) });
  }
  bar.stop();
}

/** One update on the mean cross-entropy of a batch's replies, per token. Returns it in nats. */
async function trainOn(learner: Learner, model: LanguageModel, step: number): Promise<number> {
  const { tokenizer } = model;
  const end = tokenizer.eosTokenIds[0]!;
  const groups = Array.from({ length: BATCH }, (_, i) => {
    const { messages, reply } = chat(step * BATCH + i);
    const prompt = tokenizer.encode(tokenizer.applyChatTemplate(messages), { parseSpecial: true });
    return { prompt, completions: [Int32Array.of(...tokenizer.encode(reply), end)] };
  });
  const tokens = groups.reduce((sum, { completions }) => sum + completions[0]!.length, 0);
  const gradient = groups.map(({ completions }) => [
    new Float32Array(completions[0]!.length).fill(-1 / tokens),
  ]);
  const { logprobs } = await learner.accumulate(groups, gradient);
  await learner.step();
  return -logprobs.flat(2).reduce((sum, values) => sum + values.reduce((a, b) => a + b, 0), 0) / tokens;
}

async function report(model: LanguageModel): Promise<void> {
  const tasks = heldOutTasks({ perCell: 6 });
  const greedy = await evaluateWorld(model, { tasks });
  const sampled = await evaluateWorld(model, { tasks, temperature: 1, samples: 16 });
  const { auc, good, corrupted } = await measureWorldJudge(worldJudge(model), { tasks });
  const beyond = await evaluateWorld(model, { tasks: heldOutTasks({ levels: [5, 6] }) });
  console.log(`held-out tasks: ${tasks.length}`);
  console.log(
    `greedy ${greedy.accuracy.toFixed(3)}, sampled ${sampled.accuracy.toFixed(3)}, pass@16 ${sampled.passAtK.toFixed(3)}, levels 5-6 ${beyond.accuracy.toFixed(3)}`,
  );
  for (const [i, { name, score }] of greedy.byKind.entries())
    console.log(
      `  ${name.padEnd(14)} greedy ${score.toFixed(2)} sampled ${sampled.byKind[i]!.score.toFixed(2)}`,
    );
  for (const [i, { name, score }] of greedy.byLevel.entries())
    console.log(`  level ${name} greedy ${score.toFixed(2)} sampled ${sampled.byLevel[i]!.score.toFixed(2)}`);
  console.log(
    `judge: AUC ${auc.toFixed(3)}, right answers ${good.toFixed(2)}, wrong ones ${corrupted.toFixed(2)}`,
  );
}

void main(process.argv[2] ?? 'runs/tiny-model');
