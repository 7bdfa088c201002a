/** The state of a trainer: made fresh, or checked before it is continued (it may have been read from a file). */
import { LspError } from '../errors';
import { expectUint64, isRecord } from '../options';
import type { TrainerState } from './types';

export function freshState(kind: TrainerState['kind'], seed: number | bigint | undefined): TrainerState {
  return {
    format: 1,
    kind,
    nextStep: 0,
    seed: String(expectUint64('seed', seed ?? 0)),
    updates: 0,
    history: [],
    baseline: {},
  };
}

/**
 * A copy of a state that can be continued here.
 * @throws LspError INVALID_CHECKPOINT
 */
export function checkState(
  state: TrainerState,
  kind: TrainerState['kind'],
  seed: number | bigint | undefined,
): TrainerState {
  const reject = (name: string, expected: string, value: unknown) =>
    new LspError(
      'INVALID_CHECKPOINT',
      `Expected ${expected} for \`resume.${name}\` but received ${String(value)}.`,
      {
        remedy: 'Resume with the state that the same kind of trainer returned.',
      },
    );
  if (!isRecord(state)) throw reject('state', 'an object', state);
  if ((state.format as number) !== 1) throw reject('format', '1', state.format);
  if (state.kind !== kind) throw reject('kind', `'${kind}'`, state.kind);
  if (!Number.isSafeInteger(state.nextStep) || state.nextStep < 0) {
    throw reject('nextStep', 'an integer of at least 0', state.nextStep);
  }
  if (typeof state.seed !== 'string' || !/^\d{1,20}$/.test(state.seed)) {
    throw reject('seed', 'a string of digits', state.seed);
  }
  if (seed !== undefined && String(expectUint64('seed', seed)) !== state.seed) {
    throw reject('seed', `the seed of the run, ${seed},`, state.seed);
  }
  if (!Array.isArray(state.history) || state.history.some((text) => typeof text !== 'string')) {
    throw reject('history', 'an array of strings', state.history);
  }
  if (!isRecord(state.baseline)) throw reject('baseline', 'an object', state.baseline);
  return structuredClone(state);
}
