/**
 * Watchers: a run that goes bad should say so while it can still be helped, and stop before it has spent a night.
 *
 * They look at a step before its update, so that when one stops the run the weights are those of the last whole step.
 */
import { LspError } from '../errors';
import { checkOptions, expectBoolean, expectNumber } from '../options';
import { mismatchWarning } from './rollouts';
import type { Role, RoleBaseline, RoleMetrics, StepMetrics } from './types';

export interface WatchOptions {
  /** KL to the reference in nats per token: warn from the first on, stop from the second on. Default 0.5 and 2. */
  warnKl?: number;
  maxKl?: number;
  /** Entropy as a share of the first step's: warn below the first, stop below the second. Default 0.3 and 0.03. */
  warnEntropy?: number;
  minEntropy?: number;
  /**
   * Whether the Solver's entropy is watched, too. Default true; false where a task has one right answer, since to be
   * sure of it is what is to be learnt.
   */
  solverEntropy?: boolean;
  /** Mean length as a share of the first step's: warn below it (rewards are often hacked by brevity). Default 0.3. */
  warnLength?: number;
  /** Warn when more than this share of answers is cut off. Default 0.9. */
  warnClipped?: number;
  /** Warn when more than this share of queries is rejected. Default 0.5. */
  warnRejected?: number;
  /** Warn when int8 rollouts are further than this from the trained policy, KL in nats per token. Default 0.05. */
  warnMismatch?: number;
}

const DEFAULTS: Required<WatchOptions> = {
  warnKl: 0.5,
  maxKl: 2,
  warnEntropy: 0.3,
  minEntropy: 0.03,
  solverEntropy: true,
  warnLength: 0.3,
  warnClipped: 0.9,
  warnRejected: 0.5,
  warnMismatch: 0.05,
};

/** Fills in defaults; Infinity switches an upper limit off, 0 a lower one. */
export function settleWatch(options: WatchOptions | undefined): Required<WatchOptions> {
  const checked = checkOptions(options, Object.keys(DEFAULTS), 'watch');
  const { solverEntropy, ...limits } = DEFAULTS;
  const result = {
    ...limits,
    solverEntropy: expectBoolean('watch.solverEntropy', checked.solverEntropy ?? solverEntropy),
  };
  for (const name of Object.keys(limits) as (keyof typeof limits)[]) {
    const value = checked[name] ?? limits[name];
    result[name] = value === Infinity ? value : expectNumber(`watch.${name}`, value, { min: 0 });
  }
  return result;
}

/**
 * @returns warnings in words
 * @throws LspError TRAINING_DIVERGED when KL exploded or entropy collapsed
 */
export function watchStep(
  metrics: Pick<
    StepMetrics,
    'solver' | 'challenger' | 'queries' | 'validQueries' | 'rejections' | 'mismatch'
  >,
  baseline: Partial<Record<Role, RoleBaseline>>,
  limits: Required<WatchOptions>,
): string[] {
  const warnings: string[] = [];
  const roles = { solver: metrics.solver, challenger: metrics.challenger };
  for (const role of ['solver', 'challenger'] as const) {
    const now = roles[role];
    if (now !== null && now.samples > 0) warnings.push(...watchRole(role, now, baseline[role], limits));
  }
  const rejected = metrics.queries - metrics.validQueries;
  if (rejected > limits.warnRejected * metrics.queries) {
    const causes = Object.entries(metrics.rejections).map(([cause, count]) => `${count} ${cause}`);
    warnings.push(`${rejected} of ${metrics.queries} queries were rejected (${causes.join(', ')}).`);
  }
  const apart = mismatchWarning(metrics.mismatch ?? null, limits.warnMismatch);
  if (apart !== null) warnings.push(apart);
  return warnings;
}

function watchRole(
  role: Role,
  now: RoleMetrics,
  first: RoleBaseline | undefined,
  limits: Required<WatchOptions>,
): string[] {
  const warnings: string[] = [];
  if (now.kl !== null) {
    if (!(now.kl < limits.maxKl)) {
      diverged(`a KL below ${limits.maxKl} nats per token`, role, now.kl, 'Raise `kl.coefficient`');
    }
    if (now.kl >= limits.warnKl) {
      warnings.push(`The ${role} is ${now.kl.toFixed(2)} nats per token away from the reference.`);
    }
  }
  const entropyMatters = role === 'challenger' || limits.solverEntropy;
  if (entropyMatters && first !== undefined && first.entropy > 0) {
    const share = now.entropy / first.entropy;
    if (!(share >= limits.minEntropy)) {
      const least = `an entropy of at least ${limits.minEntropy} of the first step's`;
      diverged(least, role, share, 'Its samples are all alike. Raise `kl.coefficient`');
    }
    if (share < limits.warnEntropy) {
      warnings.push(`The ${role}'s entropy has fallen to ${percent(share)} of the first step's.`);
    }
  }
  if (first !== undefined && now.length < limits.warnLength * first.length) {
    warnings.push(
      `The ${role}'s texts have shrunk to ${percent(now.length / first.length)} of their first length.`,
    );
  }
  if (now.clippedShare > limits.warnClipped) {
    warnings.push(`${percent(now.clippedShare)} of the ${role}'s texts are cut off by \`maxNewTokens\`.`);
  }
  return warnings;
}

function diverged(expected: string, role: Role, received: number, remedy: string): never {
  throw new LspError(
    'TRAINING_DIVERGED',
    `Expected ${expected} for the ${role} but received ${received.toFixed(3)}.`,
    {
      remedy:
        `${remedy}, or lower the learning rate, and continue from the last checkpoint. ` +
        'The limits are in the option `watch`.',
    },
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
