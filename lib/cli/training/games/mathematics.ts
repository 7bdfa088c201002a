/** Arithmetic, as word problems or as bare sums, with answers that a program checks. */
import { mathematicsProbe, probeQueries } from '../../../eval/probe';
import { duplicateGate, mathematics, mathematicsGate, mathematicsReward } from '../../../lsp';
import { invalid } from '../../../options';
import { WORDED } from './instructions';
import type { Game } from './types';

function game(form: 'stories' | 'sums'): Game {
  return {
    ...WORDED,
    open: async () =>
      Promise.resolve({
        task: mathematics({ form }),
        reward: mathematicsReward(),
        // Only `recommended` has a gate of its own; the others see that no sum comes twice.
        gate: (preset) =>
          preset === 'recommended' ? mathematicsGate({ form }) : duplicateGate({ threshold: 1 }),
      }),
    checkRows: (rows) => {
      rows.forEach(({ info: { answer } }, i) => {
        if (typeof answer === 'string' || typeof answer === 'number') return;
        throw invalid(`queriesFile (row ${i + 1}).answer`, 'the right answer', answer);
      });
    },
    ...(form === 'sums' && { duplicates: { threshold: 1 } }),
    probe: (model, { task, reward }, { size, ...options }) =>
      probeQueries(model, { task, reward: reward!, queries: mathematicsProbe(form, size) }, options),
    words: { score: 'accuracy', items: 'held-out problems' },
  };
}

export const stories = game('stories');
export const sums = game('sums');
