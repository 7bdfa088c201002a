/**
 * The reward of verifiable instructions: R is the share of constraints that an answer satisfies, checked from the
 * text alone.
 *
 * The checks stay as they are published; what they leave open is closed here. Many constraints hold for text that
 * says nothing ("no commas", "at most 40 words"), so an answer without words scores 0, and a floor on the number
 * of words, or on the share of different words, can be set for runs in which the Solver finds out that "Ok." or a
 * repeated keyword pays.
 */
import { checkOptions, expectInteger, expectNumber, invalid, isRecord } from '../options';
import { satisfies, type Constraint } from './instructions';
import { kindOf } from './instructions/kinds';
import { words } from './instructions/text';
import type { Reward, Sample } from './reward';

export interface VerifiableInstructionsOptions {
  /** An answer of fewer words scores 0; default 1, so that an answer without any word does. */
  minimumWords?: number;
  /**
   * An answer in which fewer than this share of the words are different ones scores 0, in [0, 1]; default 0 (off).
   * Ordinary text of up to 100 words has 0.5 and more; a looping answer has 0.1.
   */
  minimumDistinctShare?: number;
}

/**
 * Scores `sample.info.constraints` (an array of `Constraint`): satisfied / all, in [0, 1]. Abstains (null) where the
 * sample has no constraints.
 */
export class VerifiableInstructions implements Reward {
  readonly name = 'verifiable-instructions';
  readonly #minimumWords: number;
  readonly #minimumDistinctShare: number;

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(options: VerifiableInstructionsOptions = {}) {
    checkOptions(options, ['minimumWords', 'minimumDistinctShare'], 'VerifiableInstructions');
    this.#minimumWords = expectInteger('minimumWords', options.minimumWords ?? 1, { min: 0 });
    this.#minimumDistinctShare = expectNumber('minimumDistinctShare', options.minimumDistinctShare ?? 0, {
      min: 0,
      max: 1,
    });
  }

  /** @throws LspError INVALID_ARGUMENT if a sample's constraints are not constraints */
  score(samples: readonly Sample[]): (number | null)[] {
    return samples.map((sample) => {
      const constraints = constraintsOf(sample.info);
      return constraints.length === 0 ? null : this.scoreAnswer(constraints, sample.answer);
    });
  }

  /** The share of constraints that one answer satisfies, in [0, 1]; 0 below the floors. */
  scoreAnswer(constraints: readonly Constraint[], answer: string): number {
    const found = words(answer);
    if (found.length < this.#minimumWords) return 0;
    const distinct = new Set(found.map((word) => word.toLowerCase())).size;
    if (distinct < this.#minimumDistinctShare * found.length) return 0;
    return shareSatisfied(constraints, answer);
  }
}

/** Satisfied constraints / constraints, in [0, 1]; 0 for an answer without any text. */
export function shareSatisfied(constraints: readonly Constraint[], answer: string): number {
  if (constraints.length === 0) throw invalid('constraints', 'at least one constraint', constraints);
  return constraints.filter((constraint) => satisfies(constraint, answer)).length / constraints.length;
}

/** The constraints of a query's `info`; empty if it has none. */
export function constraintsOf(info: Readonly<Record<string, unknown>>): Constraint[] {
  const { constraints = [] } = info;
  if (!Array.isArray(constraints)) throw invalid('info.constraints', 'an array of constraints', constraints);
  for (const constraint of constraints as unknown[]) {
    if (!isRecord(constraint) || typeof constraint.id !== 'string') {
      throw invalid('info.constraints', 'constraints with an `id`', constraint);
    }
    kindOf(constraint as Constraint); // an unknown id is an error, never a constraint that always fails
  }
  return constraints as Constraint[];
}
