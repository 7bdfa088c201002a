/**
 * A reward from a user's function of one sample, with a time limit for each sample, for rewards that wait for
 * something (a model behind an HTTP address, a subprocess).
 *
 * A timer can only end a wait. A synchronous function that never returns stops the whole process, timers included:
 * name such a reward by module and let `WorkerReward` run it.
 */
import { checkOptions, expectFunction, expectInteger, expectNumber, expectString } from '../options';
import { RewardError, type Awaitable, type Reward, type RewardContext, type Sample } from './reward';

export interface FunctionRewardOptions {
  /** Milliseconds one sample may take, default 60 000; Infinity is off. */
  timeoutMs?: number;
  /** Samples scored at the same time, default 8; they start in order. */
  concurrency?: number;
  name?: string;
}

/** `score` gets a signal that is aborted with the run and when its own time limit has passed. */
export type ScoreFunction = (sample: Sample, context: RewardContext) => Awaitable<number | null>;

export class FunctionReward implements Reward {
  readonly name: string;
  readonly #score: ScoreFunction;
  readonly #timeoutMs: number;
  readonly #concurrency: number;

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(score: ScoreFunction, options: FunctionRewardOptions = {}) {
    checkOptions(options, ['timeoutMs', 'concurrency', 'name'], 'FunctionReward');
    this.#score = expectFunction('score', score);
    const { timeoutMs = 60_000 } = options;
    this.#timeoutMs =
      timeoutMs === Infinity
        ? Infinity
        : expectNumber('timeoutMs', timeoutMs, { above: 0, max: 2 ** 31 - 1 });
    this.#concurrency = expectInteger('concurrency', options.concurrency ?? 8, { min: 1 });
    this.name = expectString('name', options.name ?? (score.name || 'custom'));
  }

  /**
   * @throws RewardError (code REWARD_FAILED) with the index of the first sample that threw, passed the time limit
   *   or got something else than a finite number or null; the signal's reason when it is aborted
   */
  async score(samples: Sample[], context?: RewardContext): Promise<(number | null)[]> {
    // Aborted by the first failure too, so that the other samples do not go on for nothing.
    const stop = new AbortController();
    const signal = context ? AbortSignal.any([context.signal, stop.signal]) : stop.signal;
    signal.throwIfAborted();
    const scores: (number | null)[] = new Array<number | null>(samples.length).fill(null);
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let index = next++; index < samples.length && !signal.aborted; index = next++) {
        scores[index] = await this.#scoreOne(samples[index]!, index, signal);
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(this.#concurrency, samples.length) }, lane));
    } catch (error) {
      stop.abort(error);
      throw error;
    }
    signal.throwIfAborted();
    return scores;
  }

  async #scoreOne(sample: Sample, index: number, signal: AbortSignal): Promise<number | null> {
    const own = new AbortController();
    const sampleSignal = AbortSignal.any([signal, own.signal]);
    let timer: NodeJS.Timeout | undefined;
    const stopped = new Promise<never>((_, reject) => {
      sampleSignal.addEventListener('abort', () => reject(sampleSignal.reason), { once: true });
      if (this.#timeoutMs === Infinity) return;
      const expire = (): void => own.abort(this.#failure(index, `no score within ${this.#timeoutMs} ms`));
      timer = setTimeout(expire, this.#timeoutMs);
    });
    // When the score comes first and the run is aborted later, nobody waits for this promise any more.
    stopped.catch(() => undefined);
    try {
      const scoring = (async () => this.#score(sample, { signal: sampleSignal }))();
      const score: unknown = await Promise.race([scoring, stopped]);
      if (score === null || (typeof score === 'number' && Number.isFinite(score))) return score;
      throw this.#failure(
        index,
        typeof score === 'number' ? String(score) : `a value of type ${typeof score}`,
      );
    } catch (error) {
      if (error instanceof RewardError) throw error;
      signal.throwIfAborted();
      throw this.#failure(
        index,
        `an exception: ${error instanceof Error ? error.message : String(error)}`,
        error,
      );
    } finally {
      clearTimeout(timer);
    }
  }

  #failure(index: number, received: string, cause?: unknown): RewardError {
    return new RewardError(
      `Expected a finite number or null for sample ${index} from reward \`${this.name}\` but received ${received}.`,
      { cause, sampleIndex: index, remedy: 'Return null for answers that cannot be scored.' },
    );
  }
}
