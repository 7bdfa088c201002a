/**
 * Drawing sets of constraints: seeded, feasible within the token limit, without conflicts, of spread difficulty.
 *
 * Difficulty spreads by itself: kinds are drawn alike, from "no commas" (often satisfied by accident) to a start
 * phrase (rarely), and parameters uniformly over their range.
 */
import {
  checkOptions,
  expectArray,
  expectFunction,
  expectInteger,
  expectOneOf,
  invalid,
} from '../../options';
import { areFeasible, wordsWithin } from './compatibility';
import { INSTRUCTION_IDS, INSTRUCTION_KINDS } from './kinds';
import { drawOne } from './reading';
import type { Constraint, InstructionId, Random } from './types';

/** Concrete everyday words that go with nearly any task. */
export const DEFAULT_VOCABULARY: readonly string[] = (
  'river garden window music bread winter mountain letter market bridge teacher kitchen island ocean summer ' +
  'forest paper engine silver morning village doctor friend story color light water journey animal bicycle ' +
  'history science weather travel family dinner planet castle season'
).split(' ');

export interface DrawConstraintsOptions {
  /** Constraints in the set, 1..5. */
  count: number;
  /** Token limit of the answers. Limits of fewer than about 16 tokens leave few kinds to draw. */
  maxNewTokens: number;
  /** Kinds to draw from; default: all that can be drawn. */
  kinds?: readonly InstructionId[];
  /** Words from which keywords are drawn; default: everyday nouns. */
  vocabulary?: readonly string[];
}

/** These two are never drawn, and are not among the kinds that a draw picks from: equal seeds go on drawing the same. */
const DEFAULT_KINDS = INSTRUCTION_IDS.filter(
  (id) => id !== 'language:response_language' && id !== 'change_case:capital_word_frequency',
);

/** Attempts per constraint of the set before a smaller set is returned. */
const ATTEMPTS = 40;

/**
 * Draws constraints of different kinds which one answer of at most `maxNewTokens` tokens can satisfy together.
 * The same sequence of random numbers gives the same constraints.
 * @param random uniform in [0, 1)
 * @returns `count` constraints; fewer only if the kinds and limits given leave no larger set (at least one)
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION; INVALID_ARGUMENT too if nothing at all can be drawn
 */
export function drawConstraints(random: Random, options: DrawConstraintsOptions): Constraint[] {
  expectFunction('random', random);
  checkOptions(options, ['count', 'maxNewTokens', 'kinds', 'vocabulary'], 'drawConstraints');
  const count = expectInteger('count', options.count, { min: 1, max: 5 });
  const maxNewTokens = expectInteger('maxNewTokens', options.maxNewTokens, { min: 1 });
  const vocabulary = options.vocabulary ?? DEFAULT_VOCABULARY;
  expectArray('vocabulary', vocabulary, { nonEmpty: true });
  const kinds = options.kinds ?? DEFAULT_KINDS;
  expectArray('kinds', kinds, { nonEmpty: true }).forEach((id) => expectOneOf('kinds', id, INSTRUCTION_IDS));

  const budget = { words: wordsWithin(maxNewTokens), vocabulary };
  const drawn: Constraint[] = [];
  for (let attempt = 0; attempt < ATTEMPTS * count && drawn.length < count; attempt++) {
    const id = drawOne(random, kinds);
    const constraint = INSTRUCTION_KINDS[id].draw(random, budget);
    if (!constraint || drawn.some((other) => other.id === id)) continue;
    if (areFeasible([...drawn, constraint], maxNewTokens)) drawn.push(constraint);
  }
  if (drawn.length === 0) {
    const remedy = 'Raise `maxNewTokens` or allow more kinds.';
    throw invalid('kinds', `kinds of which one can be drawn within ${maxNewTokens} tokens`, kinds, remedy);
  }
  return drawn;
}
