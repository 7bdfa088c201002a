/**
 * How far a run is and how long it will take: the phases of a step weighted by what they took so far.
 */
import type { Phase, PhaseProgress, StepMetrics } from '../../lsp/types';

const PHASES: readonly Phase[] = ['challenger', 'solver', 'reward', 'judge', 'reference', 'update'];

/** What the phases are called for people. */
export const PHASE_WORDS: Readonly<Record<Phase, string>> = {
  challenger: 'writing queries',
  solver: 'answering',
  reward: 'scoring',
  judge: 'judging',
  reference: 'comparing with the reference',
  update: 'updating',
};

/** Shares of a step before the first one has been measured. */
const FIRST_GUESS: Record<Phase, number> = {
  challenger: 0.2,
  solver: 0.35,
  reward: 0,
  judge: 0,
  reference: 0.1,
  update: 0.35,
};

export class Pace {
  readonly #steps: number;
  #done: number;
  #weights: Record<Phase, number> = FIRST_GUESS;
  #totals: number[] = [];

  /** @param done steps done before this process */
  constructor(steps: number, done: number) {
    this.#steps = steps;
    this.#done = done;
  }

  /** Takes the times of a finished step. */
  finish(seconds: StepMetrics['seconds']): void {
    this.#done++;
    this.#totals.push(seconds.total);
    const sum = PHASES.reduce((total, phase) => total + seconds[phase], 0);
    if (sum > 0) {
      this.#weights = Object.fromEntries(PHASES.map((phase) => [phase, seconds[phase] / sum])) as Record<
        Phase,
        number
      >;
    }
  }

  /** Share of the run that is done, in [0, 1]. */
  fraction(progress: PhaseProgress): number {
    const before = PHASES.slice(0, PHASES.indexOf(progress.phase));
    const within =
      before.reduce((sum, phase) => sum + this.#weights[phase], 0) +
      this.#weights[progress.phase] * progress.fraction;
    return Math.min(1, (this.#done + Math.min(1, within)) / this.#steps);
  }

  /** Seconds until the end by the mean of the last ten steps; null before the first. */
  secondsLeft(): number | null {
    const last = this.#totals.slice(-10);
    if (last.length === 0) return null;
    return (last.reduce((a, b) => a + b, 0) / last.length) * (this.#steps - this.#done);
  }
}
