/**
 * What is played in a run: everything that depends on its task. Who is paid for what (the preset), and the training
 * itself, are the same for all of them.
 */
import { runProbe, type ProbeOptions, type ProbeResult } from '../../eval/probe';
import type { QueryRow } from '../../grpo/queries';
import type { PolicyModel } from '../../learn/policy';
import {
  duplicateGate,
  instructionFollowing,
  SelfReward,
  type DuplicateOptions,
  type Gate,
  type JudgeReport,
  type PresetName,
  type Task,
  type WatchOptions,
} from '../../lsp';
import { expectOneOf, invalid } from '../../options';
import type { Reward } from '../../rewards/reward';
import { VerifiableInstructions } from '../../rewards/verifiable-instructions';
import type { TrainOptions } from '../../run/train-options';
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
} from '../../world';

export interface Game {
  readonly task: Task;
  readonly reward: Reward;
  /** @throws LspError INVALID_ARGUMENT where `reward` cannot check the answers to these rows of queries */
  checkRows(rows: readonly QueryRow[]): void;
  /** @throws LspError INVALID_ARGUMENT where progress is measured on one of these rows of queries */
  refuseHeldOut(rows: readonly QueryRow[]): void;
  /** The gate in place of the preset's, or null. */
  gate(preset: PresetName): Gate | null;
  readonly duplicates?: DuplicateOptions;
  judge(reference: PolicyModel): SelfReward;
  measureJudge(judge: SelfReward, signal: AbortSignal): Promise<JudgeReport>;
  readonly watch?: WatchOptions;
  /** Whether KL is reported even where no term of the loss keeps it small: it takes a reference in memory. */
  readonly measureKl: boolean;
  /** The measure of progress, on what no training has seen. */
  probe(
    model: PolicyModel,
    options: Required<Omit<ProbeOptions, 'signal'>> & { signal: AbortSignal },
  ): Promise<ProbeResult>;
  /** What the probe's score is called, and what it is measured on. */
  readonly words: { score: string; items: string };
}

const instructions: Game = {
  task: instructionFollowing(),
  reward: new VerifiableInstructions(),
  checkRows: (rows) => {
    if (rows.every(({ info }) => info['constraints'] === undefined))
      throw invalid('queriesFile', 'rows with `constraints`, or a `reward`,', 'neither');
  },
  refuseHeldOut: () => undefined,
  gate: () => null,
  judge: (reference) => new SelfReward(reference),
  measureJudge: (judge, signal) => judge.preflight({ signal }),
  measureKl: false,
  probe: runProbe,
  words: { score: 'probe', items: 'held-out prompts' },
};

/** Kinds times levels of the world's held-out suite. */
const WORLD_CELLS = KIND_NAMES.length * PRETRAINING_LEVELS.length;

/** Most queries that are remembered: in the world of short tasks the same one is soon written again. */
const WORLD_HISTORY = 1024;

const world: Game = {
  task: tinyWorld(),
  reward: new WorldReward(),
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
  // The parser is the strict gate. What is left to reject is a task that is exactly an earlier one: tasks of a kind
  // share most of their words, so that likeness says nothing.
  gate: (preset) => (preset === 'recommended' ? duplicateGate({ threshold: 1 }) : null),
  duplicates: { threshold: 1, history: WORLD_HISTORY },
  judge: worldJudge,
  measureJudge: (judge, signal) => measureWorldJudge(judge, { signal }),
  // Certainty is what is learnt, and without a KL term nothing asks the model to stay where it was.
  watch: { solverEntropy: false, warnKl: Infinity, maxKl: Infinity },
  measureKl: true,
  probe: async (model, { size, maxNewTokens, signal, onProgress }) => {
    const tasks = heldOutTasks({ perCell: Math.max(1, Math.round(size / WORLD_CELLS)) });
    const result = await evaluateWorld(model, { tasks, maxNewTokens, signal, onProgress });
    const { accuracy, scores, meanTokens, byKind } = result;
    return { score: accuracy, scores, meanTokens, groups: byKind };
  },
  words: { score: 'accuracy', items: 'held-out tasks' },
};

const GAMES: Readonly<Record<TrainOptions['task'], Game>> = { instructions, world };

export function gameOf({ task }: Pick<TrainOptions, 'task'>): Game {
  return GAMES[task];
}

/** Whether a run keeps the frozen starting model: for the KL, or as a judge. */
export function needsReference(options: TrainOptions): boolean {
  return options.klBeta > 0 || options.selfReward > 0 || gameOf(options).measureKl;
}
