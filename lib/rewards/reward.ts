/**
 * The reward contract: what a reward sees, what it returns, and how a trainer calls one safely.
 *
 * A reward is ordinary user code and the least trustworthy part of a run: it may throw, hang, or return NaN. A
 * trainer therefore never calls `score` directly but through `scoreSamples`, which turns each of these failures
 * into an `LspError('REWARD_FAILED')` that names the offending sample, before anything has been updated.
 */
import { LspError } from '../errors';
import { invalid, isRecord } from '../options';
import type { ChatMessage, Completion } from '../model/types';

export type Awaitable<T> = T | PromiseLike<T>;

/** One answer to one query. */
export interface Sample {
  /** The query as the Solver saw it: the content of the last user message. */
  query: string;
  /** The whole prompt of the Solver. */
  messages: readonly ChatMessage[];
  /** The answer's text, without special tokens. */
  answer: string;
  /** The sampled completion: tokens, log-probabilities, finish reason. */
  completion: Completion;
  /** What the task knows about the query: its constraints, a reference answer, the fields of a JSONL row. */
  info: Readonly<Record<string, unknown>>;
  /** Position in the array given to `score`. */
  index: number;
  /** Which query of the step; answers of one query share it (majority votes group by it). */
  queryIndex: number;
  /** Which of the query's G answers. */
  answerIndex: number;
}

export interface RewardContext {
  /** Aborted when the run is, or when the time limit of the call has passed. */
  signal: AbortSignal;
}

/**
 * Scores answers. One finite number per sample, best in [0, 1] (the scale the defaults are made for), higher is
 * better; null abstains: that answer has no part in its group's mean and gets no advantage.
 */
export interface Reward {
  readonly name?: string;
  score(samples: Sample[], context: RewardContext): Awaitable<(number | null)[]>;
}

/** A reward failed; `sampleIndex` is the sample that did it, null when no single one could be found. */
export class RewardError extends LspError {
  readonly sampleIndex: number | null;

  constructor(message: string, options: ErrorOptions & { sampleIndex: number | null; remedy?: string }) {
    super('REWARD_FAILED', message, options);
    this.sampleIndex = options.sampleIndex;
  }
}

/** A reward from a function of one sample. */
export function rewardFrom(
  score: (sample: Sample, context: RewardContext) => Awaitable<number | null>,
  name = 'custom',
): Reward {
  return {
    name,
    score: (samples, context) => Promise.all(samples.map(async (sample) => score(sample, context))),
  };
}

export interface WeightedReward {
  reward: Reward;
  weight: number;
}

/**
 * The weighted sum Σ w_k·R_k. A reward that abstains adds nothing (weights are not rescaled: an answer must not be
 * worth more because a judge was silent); the sum abstains when every part does.
 */
export function weightedSum(parts: readonly WeightedReward[]): Reward {
  if (parts.length === 0) {
    throw new LspError('INVALID_ARGUMENT', 'Expected at least one reward for `parts` but received none.');
  }
  for (const { weight } of parts) {
    if (!Number.isFinite(weight)) {
      throw new LspError(
        'INVALID_ARGUMENT',
        `Expected a finite number for \`weight\` but received ${weight}.`,
      );
    }
  }
  return {
    name: parts.map(({ reward }) => reward.name ?? 'custom').join('+'),
    async score(samples, context) {
      const scores = await Promise.all(
        parts.map(async ({ reward }) =>
          checkScores(await reward.score(samples, context), samples.length, reward),
        ),
      );
      return samples.map((_, index) => {
        let total: number | null = null;
        parts.forEach(({ weight }, part) => {
          const score = scores[part]?.[index] ?? null;
          if (score !== null) total = (total ?? 0) + weight * score;
        });
        return total;
      });
    },
  };
}

/**
 * The reward itself, if it is one.
 * @throws LspError INVALID_ARGUMENT
 */
export function expectReward(value: unknown): Reward {
  if (isRecord(value) && typeof value['score'] === 'function') return value as unknown as Reward;
  throw invalid('reward', 'an object with a method `score`', value);
}

export interface ScoreOptions {
  /** Most milliseconds one call of `score` may take; Infinity is off. */
  timeoutMs: number;
  signal?: AbortSignal;
}

/**
 * Calls a reward and checks what it returns. After a throw or a timeout the samples are scored one by one to find
 * the one that did it; the whole search takes at most one more `timeoutMs`.
 *
 * @throws RewardError (code REWARD_FAILED) when the reward throws, passes the time limit, or returns anything but
 *   one finite number or null per sample; the signal's reason when it is aborted.
 */
export async function scoreSamples(
  reward: Reward,
  samples: Sample[],
  options: ScoreOptions,
): Promise<(number | null)[]> {
  if (samples.length === 0) return [];
  try {
    return await scoreOnce(reward, samples, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    if (error instanceof RewardError) throw error;
    const timedOut = error instanceof TimeoutReached;
    const culprit = samples.length === 1 ? 0 : await findCulprit(reward, samples, options, timedOut);
    options.signal?.throwIfAborted();
    const where = culprit === null ? 'all samples (no single one was found to blame)' : `sample ${culprit}`;
    const what = timedOut
      ? `no score within ${options.timeoutMs} ms`
      : `an exception: ${describeError(error)}`;
    throw new RewardError(
      `Expected a score for ${where} from reward \`${nameOf(reward)}\` but received ${what}.`,
      {
        cause: error,
        sampleIndex: culprit,
        remedy: timedOut
          ? 'Raise `rewardTimeoutMs`, or name the reward by module so that it runs in a worker that can be killed.'
          : 'Fix the reward, or let it return null for answers that it cannot score. No weight was changed.',
      },
    );
  }
}

class TimeoutReached extends Error {}

async function scoreOnce(
  reward: Reward,
  samples: Sample[],
  options: ScoreOptions,
): Promise<(number | null)[]> {
  const { timeoutMs, signal } = options;
  signal?.throwIfAborted();
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let onAbort: (() => void) | undefined;
  const stopped = new Promise<never>((_, reject) => {
    onAbort = () => {
      controller.abort(signal?.reason);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (Number.isFinite(timeoutMs)) {
      timer = setTimeout(() => {
        const error = new TimeoutReached(`no score within ${timeoutMs} ms`);
        controller.abort(error);
        reject(error);
      }, timeoutMs);
    }
  });
  try {
    // An async wrapper, so that a synchronous throw arrives as a rejection too.
    const scoring = (async () => reward.score(samples, { signal: controller.signal }))();
    return checkScores(await Promise.race([scoring, stopped]), samples.length, reward);
  } finally {
    clearTimeout(timer);
    if (onAbort) signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Index of the first sample that fails alone, or null. All of them share one time limit. When it passes, the sample
 * under way is to blame if the call with all samples timed out too, and if this one has taken more than half of the
 * limit by itself; otherwise the reward is just slow, and nobody is.
 */
async function findCulprit(
  reward: Reward,
  samples: Sample[],
  options: ScoreOptions,
  timedOut: boolean,
): Promise<number | null> {
  const deadline = performance.now() + options.timeoutMs;
  for (const [index, sample] of samples.entries()) {
    const timeoutMs = deadline - performance.now();
    if (timeoutMs <= 0) return null;
    try {
      await scoreOnce(reward, [{ ...sample, index: 0 }], { ...options, timeoutMs });
    } catch (error) {
      if (!(error instanceof TimeoutReached)) return index;
      return timedOut && timeoutMs > options.timeoutMs / 2 ? index : null;
    }
  }
  return null;
}

function checkScores(scores: unknown, count: number, reward: Reward): (number | null)[] {
  if (!Array.isArray(scores) || scores.length !== count) {
    const received = Array.isArray(scores) ? `${scores.length} scores` : describeValue(scores);
    throw new RewardError(
      `Expected ${count} scores, one per sample, from reward \`${nameOf(reward)}\` but received ${received}.`,
      { sampleIndex: null },
    );
  }
  scores.forEach((score: unknown, index) => {
    if (score === null || (typeof score === 'number' && Number.isFinite(score))) return;
    throw new RewardError(
      `Expected a finite number or null for sample ${index} from reward \`${nameOf(reward)}\` but received ` +
        `${describeValue(score)}.`,
      { sampleIndex: index, remedy: 'Return null to abstain. No weight was changed.' },
    );
  });
  return scores as (number | null)[];
}

function nameOf(reward: Reward): string {
  return reward.name ?? 'custom';
}

function describeValue(value: unknown): string {
  if (typeof value === 'number' || value === undefined) return String(value);
  return typeof value === 'string' ? JSON.stringify(value) : typeof value;
}

function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
