/** The vocabulary of the tiny world: kinds of tasks, and tasks with exact answers. */
import type { Random } from '../lsp/types';

/** How an answer that is not exactly right is credited. */
export type Credit =
  /** Right or wrong. */
  | 'exact'
  /** Items separated by white space: up to one half for the share of places that are right. */
  | 'items';

/** A task as text, with what a program knows about it. */
export interface WorldTask {
  /** Name of its kind, e.g. `sorting`. */
  kind: string;
  /** The one way to write it: whatever is written differently but parses to the same task has this text too. */
  text: string;
  /** Difficulty, 1 and up, without a ceiling. */
  level: number;
  /** The right answer. */
  answer: string;
  credit: Credit;
  /** A wrong answer that somebody careless would give: differs from `answer`. */
  slip: string;
}

/**
 * One kind of task. `P` is its problem in a form that can be computed with, such as the items of a list. All
 * functions are pure.
 */
export interface KindDefinition<P> {
  name: string;
  /** What is asked, for people, e.g. "sort letters". */
  description: string;
  credit: Credit;
  /**
   * The problem in a text, or null if it is not of this kind or has no single right answer. White space has been
   * reduced to single blanks, and a full stop or question mark at the end is gone.
   */
  parse(text: string): P | null;
  write(problem: P): string;
  level(problem: P): number;
  solve(problem: P): string;
  /** What a careless solver answers; may be right by chance. */
  slip(problem: P): string;
  /** A problem of that level. */
  draw(level: number, random: Random): P;
}

/** A kind with its problem type hidden. */
export interface Kind {
  readonly name: string;
  readonly description: string;
  /** The task in a text, or null. */
  parse(text: string): WorldTask | null;
  /** A task of the level (at least 1). */
  draw(level: number, random: Random): WorldTask;
}
