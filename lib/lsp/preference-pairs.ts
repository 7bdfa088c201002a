/**
 * Pairs for DPO: from preference data or from the rewards of a group, and their gradient for `learner.accumulate`.
 *
 *     const reference = await completionLogprobs(frozen, pairs);
 *     await learner.accumulate(pairs, pairGradient(dpo(), reference));
 *     await learner.step();
 */
import type { PairGradient, PairLoss } from '../learn/losses';
import type { PolicyModel, PolicyTokenizer } from '../learn/policy';
import { completionLogprobs as ofSequences } from '../learn/update';
import type { ChatMessage, Completion, TrainingGroup } from '../model/types';
import { checkOptions, expectArray, expectString, invalid } from '../options';
import { allSame } from './advantages';

/** A row of preference data. */
export interface Preference {
  /** A user message, or a conversation that ends in one. */
  prompt: string | readonly ChatMessage[];
  /** The reply that is preferred, and one that is not. */
  chosen: string;
  rejected: string;
}

/** A training group of two completions. */
export interface PreferencePair extends TrainingGroup {
  completions: [chosen: Int32Array, rejected: Int32Array];
}

export interface PreferenceTokenizer extends PolicyTokenizer {
  readonly eosTokenIds: readonly number[];
}

/**
 * A row as tokens: the prompt with the beginning of the reply, and both replies with the token that ends a turn in the
 * model's chat template (the first end-of-sequence token where the template writes none).
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION, INVALID_CHAT_TEMPLATE
 */
export function encodePreference(tokenizer: PreferenceTokenizer, row: Preference): PreferencePair {
  const { prompt, ...replies } = checkOptions(row, ['prompt', 'chosen', 'rejected'], 'encodePreference');
  const chosen = expectString('chosen', replies.chosen, { allowEmpty: false });
  const rejected = expectString('rejected', replies.rejected, { allowEmpty: false });
  if (chosen === rejected) throw invalid('rejected', 'another reply than `chosen`', rejected);
  const messages = typeof prompt === 'string' ? [{ role: 'user', content: prompt }] : prompt;
  const end = endOfTurn(tokenizer, messages);
  const encode = (reply: string) => Int32Array.from([...tokenizer.encode(reply), ...end]);
  return { prompt: tokenizer.encodeChat(messages), completions: [encode(chosen), encode(rejected)] };
}

/** The last end-of-sequence token of a whole conversation: a model may have several, of which one ends a reply. */
function endOfTurn(tokenizer: PreferenceTokenizer, messages: readonly ChatMessage[]): number[] {
  const { eosTokenIds } = tokenizer;
  const reply = { role: 'assistant', content: '-' };
  const whole = tokenizer.encodeChat([...messages, reply], { addGenerationPrompt: false });
  return [whole.findLast((token) => eosTokenIds.includes(token)) ?? eosTokenIds[0]].filter(
    (token) => token !== undefined,
  );
}

/**
 * The answers of a group with the highest and with the lowest reward (the first of each); null where no two rewards
 * differ. An answer without a reward is passed over.
 */
export function bestAndWorst(
  prompt: Int32Array,
  completions: readonly Pick<Completion, 'tokens'>[],
  rewards: readonly (number | null)[],
): PreferencePair | null {
  if (expectArray('rewards', rewards).length !== completions.length)
    throw invalid('rewards', `${completions.length} rewards, one per completion,`, rewards);
  if (allSame(rewards)) return null;
  const present = rewards.filter((reward) => reward !== null);
  const at = (reward: number) => completions[rewards.indexOf(reward)]!.tokens;
  return { prompt, completions: [at(Math.max(...present)), at(Math.min(...present))] };
}

/** log p of every completion token, [group][completion], under `model`: the reference, say. */
export async function completionLogprobs(
  model: PolicyModel,
  groups: readonly TrainingGroup[],
  options: { temperature?: number; signal?: AbortSignal } = {},
): Promise<Float32Array[][]> {
  const { temperature = 1, signal } = checkOptions(options, ['temperature', 'signal'], 'completionLogprobs');
  const sequences = groups.flatMap(({ prompt, completions }) =>
    completions.map((tokens) => ({ prompt, tokens })),
  );
  const flat = await ofSequences(model, sequences, { temperature, signal });
  let next = 0;
  return groups.map(({ completions }) => completions.map(() => flat[next++]!));
}

/**
 * The callback that makes `learner.accumulate` train on pairs: the gradient of the mean of `loss` over them.
 *
 * @param reference log-probabilities of all pairs under the reference, as `completionLogprobs` gives them
 * @param onPair called with the loss and the margin of each pair as they are computed, in any order
 */
export function pairGradient(
  loss: PairLoss,
  reference: readonly (readonly Float32Array[])[],
  onPair?: (result: PairGradient, index: number) => void,
): (logprobs: Float32Array[], index: number) => Float32Array[] {
  return (logprobs, index) => {
    const sides = logprobs.map((own, side) => {
      const referenceLogprobs = reference[index]?.[side];
      if (referenceLogprobs?.length !== own.length)
        throw invalid(`reference[${index}][${side}]`, `${own.length} log-probabilities`, referenceLogprobs);
      return { logprobs: own, referenceLogprobs };
    });
    const [chosen, rejected] = sides;
    if (sides.length !== 2 || !chosen || !rejected)
      throw invalid(`groups[${index}]`, 'two completions, the chosen one first,', logprobs);
    const result = loss.evaluate(chosen, rejected);
    onPair?.(result, index);
    return [result.chosen, result.rejected].map((derivative, side) =>
      new Float32Array(logprobs[side]!.length).fill(derivative / reference.length),
    );
  };
}
