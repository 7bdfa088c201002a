/**
 * A fixed piece of work whose every result is fingerprinted: sampling, scoring, gradients and an update. The same
 * fingerprints must come out of any process, whatever its threads, memory budgets and instruction set.
 */
import { type LanguageModel, Learner } from '../../lib';
import { coefficients, fingerprint, gradientFingerprints, sequencesOf, weightFingerprints } from './exact';

/** `small` takes a few tokens: the portable variant needs seconds for them. */
export type WorkloadSize = 'small' | 'whole';

const CHATS = ['What is the capital of France?', 'Name three colours.', 'Write a haiku about rain.'];
const TEXTS = [
  'The capital of France is',
  `Counting: ${Array.from({ length: 40 }, (_, n) => n).join(', ')},`,
];

export async function fingerprints(
  model: LanguageModel,
  size: WorkloadSize,
): Promise<Record<string, unknown>> {
  const { tokenizer } = model;
  const prompts =
    size === 'small'
      ? [tokenizer.encode(TEXTS[0]!)]
      : [
          // The chats share the beginning that the template gives them.
          ...CHATS.map((content) => tokenizer.encodeChat([{ role: 'user', content }])),
          ...TEXTS.map((text) => tokenizer.encode(text)),
        ];
  const completions = await model.generate(prompts, {
    samples: 2,
    minNewTokens: 3,
    maxNewTokens: size === 'small' ? 3 : 12,
    seed: 11,
  });
  const filtered = await model.generate(prompts, {
    maxNewTokens: size === 'small' ? 2 : 6,
    temperature: 0.8,
    topK: 40,
    topP: 0.9,
    seed: 12,
  });
  const rounded = await model.generate(prompts, {
    precision: 'int8',
    samples: 2,
    maxNewTokens: size === 'small' ? 3 : 12,
    temperature: 0.8,
    seed: 13,
  });
  const groups = prompts.map((prompt, index) => ({
    prompt,
    completions: completions[index]!.map(({ tokens }) => tokens),
  }));
  const all = completions.flat();
  return {
    tokens: all.map(({ tokens }) => [...tokens]),
    filteredTokens: filtered.flat().map(({ tokens }) => [...tokens]),
    logprobs: fingerprint(...all.map(({ logprobs }) => logprobs)),
    filteredLogprobs: fingerprint(...filtered.flat().map(({ logprobs }) => logprobs)),
    roundedTokens: rounded.flat().map(({ tokens }) => [...tokens]),
    roundedLogprobs: fingerprint(...rounded.flat().map(({ logprobs }) => logprobs)),
    roundedSampler: fingerprint(...rounded.flat().map(({ sampler }) => sampler!.logprobs)),
    entropies: fingerprint(...all.map(({ entropies }) => entropies)),
    scored: fingerprint(...(await model.logprobs(sequencesOf(groups)))),
    scoredCold: fingerprint(...(await model.logprobs(sequencesOf(groups), { temperature: 0.7 }))),
    next: fingerprint(...(await model.nextLogprobs(prompts, Int32Array.of(2, 198, 504)))),
    ...(await training(model, groups, size)),
  };
}

async function training(
  model: LanguageModel,
  groups: { prompt: Int32Array; completions: Int32Array[] }[],
  size: WorkloadSize,
): Promise<Record<string, unknown>> {
  await using trained = await model.clone();
  await using learner = await Learner.create(trained, { learningRate: 1e-4, weightDecay: 0.01 });
  const { logprobs } = await learner.accumulate(groups, coefficients(groups));
  const names = size === 'small' ? undefined : model.parameterNames();
  const results = {
    trained: fingerprint(...logprobs.flat()),
    gradients: await gradientFingerprints(learner, names),
  };
  if (size === 'small') return results;
  const { gradNorm } = await learner.step();
  return { ...results, gradNorm, updated: await weightFingerprints(trained) };
}
