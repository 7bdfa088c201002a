/** Held-out suites: fixed tasks of every kind and level, which nothing was ever trained on. */
import { randomFor } from '../lsp/random';
import { checkOptions, expectArray, expectInteger, expectOneOf, expectUint64 } from '../options';
import { KIND_NAMES } from './kinds';
import { drawTask, isHeldOut } from './tasks';
import type { WorldTask } from './types';

/** Levels that the bundled model's pre-training contains. */
export const PRETRAINING_LEVELS: readonly number[] = [1, 2, 3, 4];

export interface HeldOutOptions {
  /** Default: all. */
  kinds?: readonly string[];
  /** Default: `PRETRAINING_LEVELS`. */
  levels?: readonly number[];
  /** Tasks of each kind and level. Default 4. */
  perCell?: number;
  /** Another seed is another suite. Default 0. */
  seed?: number | bigint;
}

/** Draws after which a cell (the few short tasks of a kind) has no more held-out tasks to give. */
const MOST_DRAWS = 4000;

/**
 * Held-out tasks, by kind and level, without repetition. Where a kind has fewer held-out tasks of a level than asked
 * for, all of them.
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function heldOutTasks(options: HeldOutOptions = {}): WorldTask[] {
  const checked = checkOptions(options, ['kinds', 'levels', 'perCell', 'seed'], 'heldOutTasks');
  const kinds = expectArray('kinds', checked.kinds ?? KIND_NAMES).map((kind) =>
    expectOneOf('kinds', kind, KIND_NAMES),
  );
  const levels = expectArray('levels', checked.levels ?? PRETRAINING_LEVELS).map((level) =>
    expectInteger('levels', level, { min: 1, max: 64 }),
  );
  const perCell = expectInteger('perCell', checked.perCell ?? 4, { min: 1 });
  const seed = expectUint64('seed', checked.seed ?? 0);
  return kinds.flatMap((kind) => levels.flatMap((level) => cell(kind, level, perCell, seed)));
}

/** A cell's tasks depend on its kind and level alone, not on what else is asked for. */
function cell(kind: string, level: number, count: number, seed: bigint): WorldTask[] {
  const random = randomFor(seed, level, 'suite', KIND_NAMES.indexOf(kind));
  const found = new Map<string, WorldTask>();
  for (let draw = 0; draw < MOST_DRAWS && found.size < count; draw++) {
    const task = drawTask(kind, level, random);
    if (isHeldOut(task)) found.set(task.text, task);
  }
  return [...found.values()];
}
