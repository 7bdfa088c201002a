/**
 * Self-play in the tiny world: the Challenger writes a task of the kind it is told, token by token; a parser turns the
 * text into a task whose answer a program can check, or rejects it.
 */
import { checkOptions, expectArray, expectInteger, expectOneOf } from '../options';
import type { Reward } from '../rewards/reward';
import type { ChallengerRequest, Task } from '../lsp/types';
import { KIND_NAMES } from './kinds';
import { challengerMessages, solverMessages } from './roles';
import { creditOf, isHeldOut, parseTask } from './tasks';
import type { WorldTask } from './types';

export interface TinyWorldOptions {
  /** Kinds that are played. Default: all. */
  kinds?: readonly string[];
  /**
   * Whether the Challenger is told the kind of its task ('drawn', the default: kinds take turns, and queries of one
   * kind are compared with each other) or writes whatever it likes ('free').
   */
  topics?: 'drawn' | 'free';
  /** drawn: least queries of a kind in a step, since they are each other's baseline. Default 4. */
  queriesPerDraw?: number;
}

/** What `Query.info` and a row of training queries hold. */
export type WorldInfo = Pick<WorldTask, 'kind' | 'level' | 'answer' | 'credit'>;

/**
 * The tiny world as a task of self-play. Rejections: `no-task` (no checkable task), `off-topic` (of another kind than
 * asked), `too-long` (the right answer has no room in the tokens of an answer), `held-out` (reserved for evaluation).
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function tinyWorld(options: TinyWorldOptions = {}): Task {
  const checked = checkOptions(options, ['kinds', 'topics', 'queriesPerDraw'], 'tinyWorld');
  const kinds = expectArray('kinds', checked.kinds ?? KIND_NAMES, { nonEmpty: true }).map((kind) =>
    expectOneOf('kinds', kind, KIND_NAMES),
  );
  const topics = expectOneOf('topics', checked.topics ?? 'drawn', ['drawn', 'free']);
  const queriesPerDraw = expectInteger('queriesPerDraw', checked.queriesPerDraw ?? 4, { min: 1 });
  return {
    name: `tiny world (${topics})`,
    challengerPrompt: (request) => {
      const kind = topics === 'free' ? null : kindOf(request, kinds, queriesPerDraw);
      const context = { maxNewTokens: request.maxNewTokens } satisfies Context;
      return { messages: challengerMessages(kind), draw: kind, context };
    },
    parse: (text, { draw, context }) => {
      const task = parseTask(text);
      if (task === null) return { rejected: 'no-task' };
      if (!kinds.includes(task.kind) || (draw !== null && draw !== task.kind))
        return { rejected: 'off-topic' };
      if (answerTokens(task) > (context as Context).maxNewTokens) return { rejected: 'too-long' };
      return isHeldOut(task)
        ? { rejected: 'held-out' }
        : { text: task.text, core: task.text, info: infoOf(task) };
    },
    solverMessages: ({ text }) => solverMessages(text),
    difficulty: ({ info }) => (info as WorldInfo).level,
  };
}

/** What `challengerPrompt` hands to `parse`. */
interface Context {
  maxNewTokens: number;
}

/**
 * Tokens of the right answer in the bundled model's tokenizer, the one that ends it included: words, letters, digits
 * and signs. What cannot be said in time would be a task that nobody can solve, and free pay for a Challenger.
 */
function answerTokens({ answer }: WorldTask): number {
  return (answer.match(/[a-z]+|\d|[^\s\w]/gi) ?? []).length + 1;
}

/** Kinds take turns, over the steps as well where a step has too few queries for all of them. */
function kindOf({ step, index, count }: ChallengerRequest, kinds: readonly string[], least: number): string {
  const draws = Math.min(kinds.length, Math.max(1, Math.floor(count / least)));
  const draw = Math.floor((index * draws) / count);
  return kinds[(step * draws + draw) % kinds.length]!;
}

/** What the reward and the records need to know of a task. */
export function infoOf({ kind, level, answer, credit }: WorldTask): WorldInfo & Record<string, unknown> {
  return { kind, level, answer, credit };
}

/** R of the tiny world: 1 for the right answer, up to one half for a list that is partly right (`creditOf`). */
export class WorldReward implements Reward {
  readonly name = 'tiny-world';

  score(samples: readonly { answer: string; info: Readonly<Record<string, unknown>> }[]): number[] {
    return samples.map(({ answer, info }) => creditOf(info as unknown as WorldInfo, answer));
  }
}
