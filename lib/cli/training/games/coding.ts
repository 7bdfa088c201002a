/** Python functions against tests, in the sandbox; without one there is no game. */
import { codingProbe, probeQueries } from '../../../eval/probe';
import { coding as codingTask } from '../../../lsp';
import { invalid } from '../../../options';
import { Sandbox } from '../../../sandbox';
import { WORDED } from './instructions';
import type { Game } from './types';

export const coding: Game = {
  ...WORDED,
  open: async (signal) => {
    const { task, reward, gate } = codingTask({ sandbox: await Sandbox.open({ signal }), score: 'share' });
    return { task, reward, gate: () => gate };
  },
  checkRows: (rows) => {
    rows.forEach(({ info: { tests } }, i) => {
      if (tests === undefined) throw invalid(`queriesFile (row ${i + 1}).tests`, 'tests in Python', tests);
    });
  },
  probe: (model, { task, reward }, { size, ...options }) =>
    probeQueries(model, { task, reward: reward!, queries: codingProbe(task, size) }, options),
  words: { score: 'share of tests passed', items: 'small functions' },
};
