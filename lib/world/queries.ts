/** Training queries of the tiny world as a data set: what GRPO trains on where self-play writes its own. */
import { randomFor } from '../lsp/random';
import { checkOptions, expectArray, expectInteger, expectOneOf, expectUint64 } from '../options';
import { KIND_NAMES } from './kinds';
import { PRETRAINING_LEVELS } from './suite';
import { infoOf, type WorldInfo } from './task';
import { drawTrainingTask } from './tasks';

export interface TrainingQueriesOptions {
  /** Rows. Default 4096. */
  count?: number;
  /** Default: all, in turn. */
  kinds?: readonly string[];
  /** Default: `PRETRAINING_LEVELS`, in turn. */
  levels?: readonly number[];
  seed?: number | bigint;
}

/** Rows for `GrpoTrainer`, none of them held out; for `WorldReward`. */
export function trainingQueries(
  options: TrainingQueriesOptions = {},
): ({ prompt: string } & WorldInfo & Record<string, unknown>)[] {
  const checked = checkOptions(options, ['count', 'kinds', 'levels', 'seed'], 'trainingQueries');
  const count = expectInteger('count', checked.count ?? 4096, { min: 1 });
  const kinds = expectArray('kinds', checked.kinds ?? KIND_NAMES, { nonEmpty: true }).map((kind) =>
    expectOneOf('kinds', kind, KIND_NAMES),
  );
  const levels = expectArray('levels', checked.levels ?? PRETRAINING_LEVELS, { nonEmpty: true }).map(
    (level) => expectInteger('levels', level, { min: 1, max: 64 }),
  );
  const seed = expectUint64('seed', checked.seed ?? 0);
  return Array.from({ length: count }, (_, index) => {
    const kind = kinds[index % kinds.length]!;
    const level = levels[Math.floor(index / kinds.length) % levels.length]!;
    const task = drawTrainingTask(kind, level, randomFor(seed, 0, 'draw', index));
    return { prompt: task.text, ...infoOf(task) };
  });
}
