/**
 * Learning-rate schedules: pure functions of the number of updates made so far.
 *
 * Pure, so that a resumed run needs no schedule state: the learner's update count is the position.
 */
import { LspError } from '../errors';

/** Learning rate of update `step` (0 is the first). */
export type Schedule = (step: number) => number;

/** The same rate for ever. */
export function constant(learningRate: number): Schedule {
  checkRate('learningRate', learningRate);
  return () => learningRate;
}

export interface DecayOptions {
  /** Rate of the first update. */
  learningRate: number;
  /** Updates until `finalRate` is reached; it stays there afterwards. */
  steps: number;
  /** Default 0. */
  finalRate?: number;
}

/** lr(t) = start + (final − start) · min(t / steps, 1). */
export function linear({ learningRate, steps, finalRate = 0 }: DecayOptions): Schedule {
  checkDecay(learningRate, steps, finalRate);
  return (step) => learningRate + (finalRate - learningRate) * Math.min(step / steps, 1);
}

/** lr(t) = final + (start − final) · (1 + cos(π · min(t / steps, 1))) / 2 (Loshchilov & Hutter 2017, eq. 5). */
export function cosine({ learningRate, steps, finalRate = 0 }: DecayOptions): Schedule {
  checkDecay(learningRate, steps, finalRate);
  return (step) =>
    finalRate + ((learningRate - finalRate) * (1 + Math.cos(Math.PI * Math.min(step / steps, 1)))) / 2;
}

/**
 * Warm-up before another schedule: update t < `steps` has (t + 1) / (steps + 1) of the schedule's first rate (never
 * zero: a first update that does nothing helps nobody); from update `steps` on the schedule runs from its beginning.
 */
export function warmUp(steps: number, schedule: Schedule): Schedule {
  if (!Number.isInteger(steps) || steps < 0) {
    throw new LspError(
      'INVALID_ARGUMENT',
      `Expected an integer of at least 0 for \`steps\` but received ${steps}.`,
    );
  }
  return (step) => (step < steps ? (schedule(0) * (step + 1)) / (steps + 1) : schedule(step - steps));
}

function checkDecay(learningRate: number, steps: number, finalRate: number): void {
  checkRate('learningRate', learningRate);
  checkRate('finalRate', finalRate);
  if (!Number.isFinite(steps) || steps <= 0) {
    throw new LspError('INVALID_ARGUMENT', `Expected a positive number for \`steps\` but received ${steps}.`);
  }
}

function checkRate(name: string, rate: number): void {
  if (!Number.isFinite(rate) || rate < 0) {
    throw new LspError(
      'INVALID_ARGUMENT',
      `Expected a number of at least 0 for \`${name}\` but received ${rate}.`,
    );
  }
}
