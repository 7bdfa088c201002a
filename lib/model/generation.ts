/** Sampling: from checked options to the native call, and from native completions to text. */
import type { NativeCompletion, NativeGenerateOptions, NativeHandle, NativeModel } from '../native/addon';
import { withSignal } from '../native/call';
import type { CheckedGenerateOptions } from './generate-options';
import { cacheBytesPerToken, cachedTokens } from './memory';
import { StopWatcher } from './stop-strings';
import type { Tokenizer } from './tokenizer';
import type { Completion, ModelConfig } from './types';

/** More sequences at once gain nothing on a CPU. */
const MAX_BATCH = 64;

export interface GenerationContext {
  native: NativeModel;
  config: ModelConfig;
  tokenizer: Tokenizer;
  eosIds: Int32Array;
  /** Bytes the key-value cache may take. */
  memoryBudget: number;
}

/** Called with every fresh token of a sequence. */
export type TokenListener = (sequence: number, token: number) => void;

/**
 * Samples `options.samples` completions of each prompt.
 * @returns [prompt][sample]
 */
export async function generateCompletions(
  context: GenerationContext,
  prompts: readonly Int32Array[],
  options: CheckedGenerateOptions,
  onToken?: TokenListener,
): Promise<Completion[][]> {
  const { samples, streamIds, stop } = options;
  const requests = streamIds.map((streamId, index) => ({
    prompt: prompts[Math.floor(index / samples)]!,
    streamId,
  }));
  options.signal?.throwIfAborted();
  if (requests.length === 0) return [];
  const policyVersion = context.native.policyVersion();
  const completions = await withSignal(options.signal, (handle) =>
    context.native.generate(
      requests,
      {
        temperature: options.temperature,
        topK: options.topK,
        topP: options.topP,
        minNewTokens: options.minNewTokens,
        maxNewTokens: options.maxNewTokens,
        seed: options.seed,
        eosIds: context.eosIds,
        maxBatch: batchSize(context, prompts, options),
        precision: options.precision,
        ...tokenCallback(context, requests.length, options, handle, onToken),
      },
      handle,
    ),
  );
  const finished = completions.map((completion) => finish(completion, context, stop, policyVersion));
  return prompts.map((_, index) => finished.slice(index * samples, (index + 1) * samples));
}

/** As many sequences as the memory budget has keys and values for, the shared prefixes counted once for each. */
function batchSize(
  { config, memoryBudget }: GenerationContext,
  prompts: readonly Int32Array[],
  { maxNewTokens, precision }: CheckedGenerateOptions,
): number {
  const longest = cachedTokens(Math.max(...prompts.map((prompt) => prompt.length)) + maxNewTokens);
  const fitting = Math.floor(memoryBudget / (cacheBytesPerToken(config, precision) * longest));
  return Math.max(1, Math.min(MAX_BATCH, fitting));
}

/** Watches for stop strings and counts progress; absent when nobody needs to hear of single tokens. */
function tokenCallback(
  context: GenerationContext,
  total: number,
  options: CheckedGenerateOptions,
  handle: NativeHandle,
  onToken: TokenListener | undefined,
): Pick<NativeGenerateOptions, 'onTokens'> {
  const { stop, onProgress, maxNewTokens } = options;
  if (stop.length === 0 && !onProgress && !onToken) return {};
  const watchers = new Map<number, StopWatcher>();
  const lengths = new Int32Array(total);
  const done = new Set<number>();
  let tokenCount = 0;
  const onTokens = (sequences: Int32Array, tokens: Int32Array) => {
    for (const [index, sequence] of sequences.entries()) {
      const token = tokens[index]!;
      tokenCount += 1;
      lengths[sequence]! += 1;
      onToken?.(sequence, token);
      const isLast = context.eosIds.includes(token) || lengths[sequence] === maxNewTokens;
      if (isLast || watch(sequence, token)) done.add(sequence);
    }
    onProgress?.({ tokens: tokenCount, finished: done.size, total });
  };
  const watch = (sequence: number, token: number): boolean => {
    if (stop.length === 0 || done.has(sequence)) return false;
    let watcher = watchers.get(sequence);
    if (!watcher)
      watchers.set(sequence, (watcher = new StopWatcher(stop, context.tokenizer.streamDecoder())));
    if (!watcher.push(token)) return false;
    handle.finish(sequence);
    return true;
  };
  return { onTokens };
}

/**
 * Decodes a completion. Native may have sampled some tokens beyond a stop string before it heard of it: they are
 * dropped, so that the result does not depend on timing.
 */
function finish(
  { tokens, logprobs, entropies, sampledLogprobs, finishReason }: NativeCompletion,
  { tokenizer }: GenerationContext,
  stop: readonly string[],
  policyVersion: number,
): Completion {
  const sampler = (count: number) =>
    sampledLogprobs && { sampler: { precision: 'int8' as const, logprobs: sampledLogprobs.slice(0, count) } };
  if (stop.length > 0) {
    const watcher = new StopWatcher(stop, tokenizer.streamDecoder());
    for (const token of tokens) if (watcher.push(token)) break;
    if (watcher.end()) {
      const count = watcher.match!.tokens;
      return {
        text: watcher.text,
        tokens: tokens.slice(0, count),
        logprobs: logprobs.slice(0, count),
        entropies: entropies.slice(0, count),
        finishReason: 'stop',
        policyVersion,
        ...sampler(count),
      };
    }
  }
  return {
    text: tokenizer.decode(tokens),
    tokens,
    logprobs,
    entropies,
    finishReason,
    policyVersion,
    ...sampler(tokens.length),
  };
}

/**
 * Text of one completion in pieces, as it is sampled. Leaving the loop cancels the sampling.
 * @param options for one prompt and one sample
 * @returns (not yields) the completion, once all pieces are given
 */
export async function* streamText(
  context: GenerationContext,
  prompt: Int32Array,
  options: CheckedGenerateOptions,
): AsyncGenerator<string, Completion, undefined> {
  const cancel = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, cancel.signal]) : cancel.signal;
  const watcher = new StopWatcher(options.stop, context.tokenizer.streamDecoder());
  let given = 0;
  let wake: () => void = () => undefined;
  const progress = { ended: false };
  const running = generateCompletions(context, [prompt], { ...options, signal }, (_, token) => {
    watcher.push(token);
    wake();
  }).then(
    ([samples]) => {
      watcher.end();
      progress.ended = true;
      wake();
      return samples![0]!;
    },
    (error: unknown) => {
      progress.ended = true;
      wake();
      throw error;
    },
  );
  running.catch(() => undefined); // awaited below; until then a failure is not unhandled
  try {
    while (!progress.ended) {
      const safe = watcher.safeLength;
      if (safe > given) {
        const piece = watcher.text.slice(given, safe);
        given = safe;
        yield piece;
      } else {
        await new Promise<void>((resolve) => (wake = resolve));
      }
    }
    const completion = await running;
    if (watcher.text.length > given) yield watcher.text.slice(given);
    return completion;
  } finally {
    cancel.abort();
    await running.catch(() => undefined);
  }
}
