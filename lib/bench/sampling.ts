/** Prefill and decoding of a model, each on its own. */
import type { LanguageModel } from '../model/language-model';
import { expectInteger } from '../options';
import { modeOptions, randomPrompts, type BenchMode } from './workload';

export interface DecodeSizes {
  /** Sequences decoded together. */
  batch: number;
  /** Tokens of each before. */
  promptTokens: number;
  /** Tokens sampled for each; the first comes with the prompt and does not count. */
  newTokens: number;
}

export interface SamplingOptions {
  /** Default `exact`. */
  mode?: BenchMode;
  /** Times, of which the best counts (default 1). */
  repeats?: number;
  signal?: AbortSignal;
}

/** Seconds that a prompt and one token after it take. @throws LspError as `generate` */
export async function prefillSeconds(
  model: LanguageModel,
  tokens: number,
  options?: SamplingOptions,
): Promise<number> {
  return seconds(model, randomPrompts(1, tokens, model.config.vocabSize), 1, options);
}

/**
 * Seconds that all tokens but the first of each sequence take: the time of everything without that of the prompts and
 * first tokens.
 *
 * @throws LspError as `generate`
 */
export async function decodeSeconds(
  model: LanguageModel,
  { batch, promptTokens, newTokens }: DecodeSizes,
  options?: SamplingOptions,
): Promise<number> {
  expectInteger('newTokens', newTokens, { min: 2 });
  const prompts = randomPrompts(batch, promptTokens, model.config.vocabSize);
  const first = await seconds(model, prompts, 1, options);
  const whole = await seconds(model, prompts, newTokens, options);
  // On a busy machine the difference of two short times may be nothing at all.
  return Math.max(whole - first, 1e-6);
}

async function seconds(
  model: LanguageModel,
  prompts: readonly Int32Array[],
  newTokens: number,
  { mode = 'exact', repeats = 1, signal }: SamplingOptions = {},
): Promise<number> {
  const lengths = { maxNewTokens: newTokens, minNewTokens: newTokens };
  let best = Infinity;
  for (let repeat = 0; repeat < repeats; repeat++) {
    const start = performance.now();
    await model.generate(prompts, {
      ...modeOptions(mode).generate,
      ...lengths,
      seed: repeat,
      ...(signal && { signal }),
    });
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  return best;
}
