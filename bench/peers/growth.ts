/** How the time and the memory of a step grow: with rollouts, and with tokens of each. */
import { W1, type Workload } from '../../lib';
import { attempt, ourProgram, type Setting, TRAINERS, trainerProgram } from './setting';
import { Worker, type WorkerProgram } from './worker';

export type GrowthAxis = 'rollouts' | 'tokens';

export interface GrowthPoint {
  contender: string;
  along: GrowthAxis;
  /** Rollouts of a step, or tokens of a rollout with its prompt. */
  at: number;
  seconds: number;
  peakMemoryBytes: number;
}

const ANSWERS = W1.answers;
/** The sizes, and up to which PyTorch is measured: beyond it takes minutes a step, or more memory than there is. */
const SIZES = {
  rollouts: { ours: [8, 32, 128, 512], peers: 32 },
  tokens: { ours: [64, 256, 1024, 2048], peers: 256 },
};
const QUICK = { rollouts: { ours: [8, 16], peers: 8 }, tokens: { ours: [32, 64], peers: 32 } };
/** Rollouts while their tokens grow. */
const FEW = 8;

export function workloadAt(along: GrowthAxis, at: number, quick: boolean): Workload {
  const rollouts = along === 'rollouts' ? at : FEW;
  const length = quick ? 24 : W1.promptTokens + W1.newTokens;
  const tokens = along === 'tokens' ? at : length;
  const promptTokens = Math.round(tokens / 3);
  return { queries: rollouts / ANSWERS, answers: ANSWERS, promptTokens, newTokens: tokens - promptTokens };
}

/**
 * Each size in a process of its own, since memory is counted from a process's beginning; the second step counts. Points are
 * handed out one by one: the last ones take minutes.
 */
export async function* measureGrowth(setting: Setting): AsyncGenerator<GrowthPoint> {
  const sizes = setting.quick ? QUICK : SIZES;
  const torch = TRAINERS[0];
  const hasTorch = torch.needs.every((name) => setting.peers.versions[name]) && setting.peers.python;
  for (const along of ['rollouts', 'tokens'] as const) {
    for (const at of sizes[along].ours) {
      const workload = workloadAt(along, at, setting.quick);
      const programs = setting.modes.map((mode) => ourProgram(setting, mode));
      if (hasTorch && at <= sizes[along].peers) programs.push(trainerProgram(setting, torch, workload));
      for (const program of programs) {
        const what = `growth, ${at} ${along}: ${program.name}`;
        setting.progress(what);
        const found: GrowthPoint[] = [];
        await attempt(setting, what, async () => {
          found.push({ contender: program.name, along, at, ...(await oneSize(setting, program, workload)) });
        });
        yield* found;
      }
    }
  }
}

async function oneSize(setting: Setting, program: WorkerProgram, workload: Workload) {
  await using worker = await Worker.start(program, setting.signal);
  const step = (of: Workload) =>
    worker.ask<{ totalSeconds: number; peakMemoryBytes: number }>({ do: 'step', workload: of });
  await step({ ...workload, queries: 1 }); // the others take a whole step
  const { totalSeconds, peakMemoryBytes } = await step(workload);
  return { seconds: totalSeconds, peakMemoryBytes };
}
