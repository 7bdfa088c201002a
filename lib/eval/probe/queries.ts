/** A probe of fixed queries of any task of self-play: greedy answers, scored by the task's own reward. */
import type { PolicyModel } from '../../learn/policy';
import { CODING_EXAMPLES } from '../../lsp/tasks/coding-examples';
import { renderCodingExample } from '../../lsp/prompts';
import type { ChallengerPrompt, Query, Task } from '../../lsp/types';
import type { Reward, Sample } from '../../rewards/reward';
import type { ProbeOptions, ProbeResult } from './probe';

export interface ProbedTask {
  task: Task;
  reward: Reward;
  queries: readonly Query[];
}

/**
 * Measures a model. An answer that the reward abstains from scores 0.
 * @throws whatever the reward throws; the signal's reason when aborted
 */
export async function probeQueries(
  model: PolicyModel,
  { task, reward, queries }: ProbedTask,
  options: Pick<ProbeOptions, 'signal' | 'onProgress'> & { maxNewTokens: number },
): Promise<ProbeResult> {
  const { maxNewTokens, signal = new AbortController().signal, onProgress } = options;
  const prompts = queries.map((query) => task.solverMessages(query));
  const completions = await model.generate(prompts, {
    maxNewTokens,
    temperature: 0,
    signal,
    onProgress: ({ finished, total }) => onProgress?.(finished / total),
  });
  const samples = queries.map((query, index): Sample => {
    const completion = completions[index]![0]!;
    return {
      query: prompts[index]!.at(-1)!.content,
      messages: prompts[index]!,
      answer: completion.text,
      completion,
      info: query.info,
      index,
      queryIndex: index,
      answerIndex: 0,
    };
  });
  const scores = (await reward.score(samples, { signal })).map((score) => score ?? 0);
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    score: sum(scores) / scores.length,
    scores,
    meanTokens: sum(samples.map(({ completion }) => completion.tokens.length)) / samples.length,
  };
}

const NO_PROMPT: ChallengerPrompt = { messages: [], draw: null };

/** Functions to measure with, at most as many as there are; as with stories, no Solver is asked them. */
export function codingProbe(task: Task, size: number): Query[] {
  return CODING_EXAMPLES.slice(0, size)
    .map((example) => task.parse(renderCodingExample(example), NO_PROMPT))
    .filter((query): query is Query => !('rejected' in query));
}
