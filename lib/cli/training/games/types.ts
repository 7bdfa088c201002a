/** What is played in a run: everything that depends on its task. */
import type { ProbeOptions, ProbeResult } from '../../../eval/probe';
import type { QueryRow } from '../../../grpo/queries';
import type { PolicyModel } from '../../../learn/policy';
import type {
  DuplicateOptions,
  Gate,
  JudgeReport,
  PresetName,
  SelfReward,
  Task,
  WatchOptions,
} from '../../../lsp';
import type { Reward } from '../../../rewards/reward';

/** What the trainer plays with. */
export interface Pieces {
  readonly task: Task;
  /** Null where nothing but a reward of the user's can score answers. */
  readonly reward: Reward | null;
  /** The gate in place of the preset's, or null. What a probe of `probeSize` asks does not pass. */
  gate(preset: PresetName, probeSize: number): Gate | null;
}

export interface Game {
  /** Prepares what is played with, a sandbox say. @throws LspError SANDBOX_UNAVAILABLE */
  open(signal: AbortSignal): Promise<Pieces>;
  /** @throws LspError INVALID_ARGUMENT where `reward` cannot check the answers to these rows of queries */
  checkRows(rows: readonly QueryRow[]): void;
  /** @throws LspError INVALID_ARGUMENT where a probe of `probeSize` measures progress on one of these rows of queries */
  refuseHeldOut(rows: readonly QueryRow[], probeSize: number): void;
  readonly duplicates?: DuplicateOptions;
  judge(reference: PolicyModel): SelfReward;
  measureJudge(judge: SelfReward, signal: AbortSignal): Promise<JudgeReport>;
  readonly watch?: WatchOptions;
  /** Whether KL is reported even where no term of the loss keeps it small: it takes a reference in memory. */
  readonly measureKl: boolean;
  /** The measure of progress, on what no training has seen. */
  probe(
    model: PolicyModel,
    pieces: Pieces,
    options: Required<Omit<ProbeOptions, 'signal'>> & { signal: AbortSignal },
  ): Promise<ProbeResult>;
  /** What the probe's score is called, and what it is measured on. */
  readonly words: { score: string; items: string };
}
