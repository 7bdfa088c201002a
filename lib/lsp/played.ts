/** From what was sampled in a step of self-play to what others take: samples of a reward, rollouts, reports. */
import type { RolloutGroup } from '../learn/update';
import { invalid } from '../options';
import type { Sample } from '../rewards/reward';
import { meanOf } from './advantages';
import type { WrittenQuery } from './challenger';
import type { AnsweredPrompt } from './solver';
import type { Difficulty, Objective, Query, QueryReport, ScoredStep, Task } from './types';

/** A query that is answered, with its answers and scores. */
export interface AnsweredQuery extends AnsweredPrompt {
  /** Position among the N queries. */
  index: number;
  query: Query;
  rewards: (number | null)[];
  quality: (number | null)[] | null;
}

/** Neighbours with the same prompt become one group: its tokens are computed once. */
export function groupByPrompt(written: readonly WrittenQuery[], advantages: Float32Array): RolloutGroup[] {
  const groups: { prompt: Int32Array; completions: WrittenQuery['completion'][]; advantages: number[] }[] =
    [];
  written.forEach(({ promptTokens, completion }, i) => {
    let group = groups.at(-1);
    if (!group || !sameTokens(group.prompt, promptTokens)) {
      group = { prompt: promptTokens, completions: [], advantages: [] };
      groups.push(group);
    }
    group.completions.push(completion);
    group.advantages.push(advantages[i]!);
  });
  return groups;
}

function sameTokens(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && a.every((token, i) => token === b[i]);
}

export function samplesOf(answered: readonly AnsweredQuery[]): Sample[] {
  return answered
    .flatMap(({ index, query, messages, completions }) =>
      completions.map((completion, answerIndex) => ({
        query: query.text,
        messages,
        answer: completion.text,
        completion,
        info: query.info,
        queryIndex: index,
        answerIndex,
      })),
    )
    .map((sample, index) => ({ ...sample, index }));
}

/** What each answer was paid (R if the objective does not say). */
export function paidAnswers(
  answered: readonly AnsweredQuery[],
  outcome: ReturnType<Objective>,
): (number | null)[] {
  return answered.flatMap(({ index, rewards }) => outcome.paid?.solver[index] ?? rewards);
}

export function countCauses(written: readonly WrittenQuery[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { rejected } of written) if (rejected !== null) counts[rejected] = (counts[rejected] ?? 0) + 1;
  return counts;
}

/** Mean and greatest difficulty of the answered queries. */
export function difficultyOf(task: Task, answered: readonly AnsweredQuery[]): Difficulty | null {
  if (!task.difficulty || answered.length === 0) return null;
  const values = answered.map(({ query }) => task.difficulty!(query));
  return { mean: meanOf(values)!, max: Math.max(...values) };
}

export function reports(
  written: readonly WrittenQuery[],
  answered: readonly AnsweredQuery[],
  outcome: ReturnType<Objective>,
): QueryReport[] {
  const byIndex = new Map(answered.map((entry) => [entry.index, entry]));
  return written.map(({ completion, query, rejected }, i) => {
    const entry = byIndex.get(i);
    return {
      written: completion.text,
      query: rejected === null && query !== null ? query.text : null,
      rejected,
      info: query?.info ?? {},
      value: meanOf(entry?.rewards ?? []),
      advantage: outcome.challenger[i]!,
      answers: (entry?.completions ?? []).map((answer, j) => ({
        text: answer.text,
        tokens: answer.tokens.length,
        finishReason: answer.finishReason,
        reward: entry!.rewards[j] ?? null,
        quality: entry!.quality?.[j] ?? null,
        advantage: outcome.solver[i]![j]!,
      })),
    };
  });
}

/** An objective is user code: its shapes and values are checked before they reach a gradient. */
export function checkOutcome(outcome: ReturnType<Objective>, step: ScoredStep): ReturnType<Objective> {
  const { solver, challenger } = outcome as Partial<ReturnType<Objective>>;
  const count = step.queries.length;
  if (solver?.length !== count) throw invalid('objective.solver', `${count} arrays, one per query`, solver);
  if (challenger?.length !== count) throw invalid('objective.challenger', `${count} advantages`, challenger);
  step.queries.forEach(({ rewards }, i) => {
    const group = solver[i]!;
    if (group.length !== rewards.length) {
      throw invalid(`objective.solver[${i}]`, `${rewards.length} advantages, one per answer`, group);
    }
    for (const advantage of [...group, challenger[i]!]) {
      if (!Number.isFinite(advantage))
        throw invalid(`objective (query ${i})`, 'finite advantages', advantage);
    }
  });
  return outcome;
}
