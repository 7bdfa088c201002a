/** Arithmetic, as word problems or as bare sums, with answers that a program checks. */
import { mathematicsHeldOut, mathematicsProbe, probeQueries } from '../../../eval/probe';
import {
  allOf,
  duplicateGate,
  gateFrom,
  mathematics,
  mathematicsGate,
  mathematicsReward,
} from '../../../lsp';
import type { Gate, MathematicsInfo } from '../../../lsp';
import { invalid } from '../../../options';
import { WORDED } from './instructions';
import type { Game } from './types';

/** Cause 'held-out': accuracy is measured on it. */
function heldOutGate(form: 'stories' | 'sums', probeSize: number): Gate {
  const isHeldOut = mathematicsHeldOut(form, probeSize);
  return gateFrom(({ core, info }) => {
    const { sum = '' } = info as MathematicsInfo;
    return isHeldOut(core) || isHeldOut(sum) ? 'held-out' : null;
  });
}

function game(form: 'stories' | 'sums'): Game {
  return {
    ...WORDED,
    open: async () =>
      Promise.resolve({
        task: mathematics({ form }),
        reward: mathematicsReward(),
        // Only `recommended` has a gate of its own; the others see that no sum comes twice.
        gate: (preset, probeSize) =>
          allOf(
            heldOutGate(form, probeSize),
            preset === 'recommended' ? mathematicsGate({ form }) : duplicateGate({ threshold: 1 }),
          ),
      }),
    refuseHeldOut: (rows, probeSize) => {
      const isHeldOut = mathematicsHeldOut(form, probeSize);
      rows.forEach(({ messages }, i) => {
        const asked = messages.at(-1)!.content;
        if (!isHeldOut(asked)) return;
        const expected = 'problems that are not held out, since accuracy is measured on those,';
        throw invalid(`queriesFile (row ${i + 1})`, expected, asked);
      });
    },
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
