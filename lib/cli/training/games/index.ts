/**
 * What is played in a run. Who is paid for what (the preset), and the training itself, are the same for all games.
 */
import type { TrainOptions } from '../../../run/train-options';
import { coding } from './coding';
import { instructions, open } from './instructions';
import { stories, sums } from './mathematics';
import type { Game } from './types';
import { world } from './world';

export type { Game, Pieces } from './types';

const GAMES: Readonly<Record<TrainOptions['task'], Game>> = {
  instructions,
  open,
  mathematics: stories,
  sums,
  coding,
  world,
};

export function gameOf({ task }: Pick<TrainOptions, 'task'>): Game {
  return GAMES[task];
}

/** Whether a run keeps the frozen starting model: for the KL, or as a judge. */
export function needsReference(options: TrainOptions): boolean {
  return options.selfReward > 0 || measuresKl(options);
}

/** Whether a run scores its answers under the starting model. */
export function measuresKl(options: TrainOptions): boolean {
  return options.klBeta > 0 || gameOf(options).measureKl;
}
