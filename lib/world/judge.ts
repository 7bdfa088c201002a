/** The judge's role in the tiny world: points for an answer to a task, and how well they are given. */
import type { PolicyModel } from '../learn/policy';
import type { JudgeReport } from '../lsp/judge-preflight';
import { SelfReward } from '../lsp/self-reward';
import { checkOptions } from '../options';
import { judgeMessages } from './roles';
import { heldOutTasks } from './suite';
import type { WorldTask } from './types';

/** A judge that was taught the points of the tiny world, as the bundled model was. */
export function worldJudge(reference: PolicyModel): SelfReward {
  return new SelfReward(reference, { messages: judgeMessages, prefix: '' });
}

/**
 * How well a judge tells right answers from those that somebody careless gives.
 * @param options.tasks default: heldOutTasks()
 */
export async function measureWorldJudge(
  judge: SelfReward,
  options: { tasks?: readonly WorldTask[]; signal?: AbortSignal } = {},
): Promise<JudgeReport> {
  const { tasks = heldOutTasks(), signal } = checkOptions(options, ['tasks', 'signal'], 'measureWorldJudge');
  return judge.preflight({
    pairs: tasks.map(({ text, answer, slip }) => ({ query: text, answer, slip })),
    corruptions: { careless: ({ slip }) => slip },
    signal,
  });
}
