/** The tiny world: short tasks with exact answers. */
import { duplicateGate } from '../../../lsp';
import { expectOneOf, invalid } from '../../../options';
import {
  evaluateWorld,
  heldOutTasks,
  isHeldOut,
  KIND_NAMES,
  measureWorldJudge,
  parseTask,
  PRETRAINING_LEVELS,
  tinyWorld,
  worldJudge,
  WorldReward,
} from '../../../world';
import type { Game } from './types';

/** Kinds times levels of the world's held-out suite. */
const WORLD_CELLS = KIND_NAMES.length * PRETRAINING_LEVELS.length;

/** Most queries that are remembered: in the world of short tasks the same one is soon written again. */
const WORLD_HISTORY = 1024;

export const world: Game = {
  open: async () =>
    Promise.resolve({
      task: tinyWorld(),
      reward: new WorldReward(),
      // The parser is the strict gate. What is left to reject is a task that is exactly an earlier one: tasks of a kind
      // share most of their words, so that likeness says nothing.
      gate: (preset) => (preset === 'recommended' ? duplicateGate({ threshold: 1 }) : null),
    }),
  checkRows: (rows) => {
    rows.forEach(({ info: { answer, credit } }, i) => {
      const row = `queriesFile (row ${i + 1})`;
      if (typeof answer !== 'string') throw invalid(`${row}.answer`, 'the right answer as a string', answer);
      if (credit !== undefined) expectOneOf(`${row}.credit`, credit, ['exact', 'items']);
    });
  },
  refuseHeldOut: (rows) => {
    rows.forEach(({ messages }, i) => {
      const task = parseTask(messages.at(-1)!.content);
      if (task === null || !isHeldOut(task)) return;
      const expected = 'tasks that are not held out, since accuracy is measured on those,';
      throw invalid(`queriesFile (row ${i + 1})`, expected, task.text);
    });
  },
  duplicates: { threshold: 1, history: WORLD_HISTORY },
  judge: worldJudge,
  measureJudge: (judge, signal) => measureWorldJudge(judge, { signal }),
  // Certainty is what is learnt, and without a KL term nothing asks the model to stay where it was.
  watch: { solverEntropy: false, warnKl: Infinity, maxKl: Infinity },
  measureKl: true,
  probe: async (model, _, { size, maxNewTokens, signal, onProgress }) => {
    const tasks = heldOutTasks({ perCell: Math.max(1, Math.round(size / WORLD_CELLS)) });
    const result = await evaluateWorld(model, { tasks, maxNewTokens, signal, onProgress });
    const { accuracy, scores, meanTokens, byKind } = result;
    return { score: accuracy, scores, meanTokens, groups: byKind };
  },
  words: { score: 'accuracy', items: 'held-out tasks' },
};
