/** Instructions: with constraints that a program verifies, or without, for a reward model or a reward of one's own. */
import { runProbe } from '../../../eval/probe';
import { instructionFollowing, SelfReward } from '../../../lsp';
import { invalid } from '../../../options';
import { VerifiableInstructions } from '../../../rewards/verifiable-instructions';
import type { Game } from './types';

/** What games have in common that are played in words. */
export const WORDED = {
  refuseHeldOut: () => undefined,
  judge: (reference) => new SelfReward(reference),
  measureJudge: (judge, signal) => judge.preflight({ signal }),
  measureKl: false,
  words: { score: 'probe', items: 'held-out prompts' },
} as const satisfies Partial<Game>;

export const instructions: Game = {
  ...WORDED,
  open: async () =>
    Promise.resolve({ task: instructionFollowing(), reward: new VerifiableInstructions(), gate: () => null }),
  checkRows: (rows) => {
    if (rows.every(({ info }) => info['constraints'] === undefined))
      throw invalid('queriesFile', 'rows with `constraints`, or a `reward`,', 'neither');
  },
  probe: (model, _, options) => runProbe(model, options),
};

/** The paper's own game: nothing but a reward model, or a reward of the user's, says what an answer is worth. */
export const open: Game = {
  ...instructions,
  open: async () =>
    Promise.resolve({ task: instructionFollowing({ constraints: 'none' }), reward: null, gate: () => null }),
  checkRows: () => undefined,
};
