/**
 * Any server with an OpenAI-compatible `/chat/completions`: OpenAI, vLLM, the server of llama.cpp, Ollama, and others.
 *
 * Made for judging by the thousand: calls run side by side, what may pass is tried again, an answer that was paid for
 * is kept on the disk, and a call without an answer is reported in its place instead of ending the others. Only what
 * would end every call (a wrong key, model or address) is thrown.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { LspError } from '../errors';
import {
  expectArray,
  expectInteger,
  expectString,
  invalid,
  isRecord,
  checkOptions,
  expectSignal,
} from '../options';
import { AnswerCache } from './answer-cache';
import { estimateCalls } from './estimate';
import { CallFailure } from './failure';
import {
  expectMaxTokens,
  expectTemperature,
  expectTopLogprobs,
  readKey,
  resolveSettings,
  type ChatEndpointOptions,
  type EndpointSettings,
} from './options';
import { loadPLimit, loadPRetry } from './packages';
import { readReply } from './response';
import { Transport } from './transport';
import type { CallEstimate, ChatAnswer, ChatOutcome, ChatRequest, EstimateOptions } from './types';

export interface CompleteOptions {
  signal?: AbortSignal;
  /** Called after each call that ended, with their number so far. */
  onProgress?: (progress: { done: number; total: number }) => void;
}

const REQUEST_FIELDS = ['messages', 'temperature', 'maxTokens', 'topLogprobs', 'seed'];

/** Longest pause between two attempts that we choose ourselves. */
const MAX_RETRY_DELAY_MS = 30_000;

export class ChatEndpoint {
  readonly model: string;
  readonly baseUrl: string;
  readonly #settings: EndpointSettings;
  readonly #transport: Transport;
  readonly #cache: AnswerCache | null;
  readonly #limit: ReturnType<ReturnType<typeof loadPLimit>>;
  /** Until then nothing is sent, since the server asked for it (performance.now()). */
  #pausedUntilMs = 0;
  #warned = false;

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(options: ChatEndpointOptions) {
    this.#settings = resolveSettings(options);
    const { keyVariable, cacheDirectory, concurrency } = this.#settings;
    this.model = this.#settings.model;
    this.baseUrl = this.#settings.baseUrl;
    this.#transport = new Transport(
      this.#settings,
      readKey(keyVariable, options.apiKeyVariable !== undefined),
    );
    this.#cache = cacheDirectory === null ? null : new AnswerCache(cacheDirectory);
    this.#limit = loadPLimit()(concurrency);
  }

  /** What decides the answers, for the record. The key is not among it. */
  get settings(): Readonly<Record<'model' | 'baseUrl' | 'temperature' | 'extraBody', string | number>> {
    const { model, baseUrl, temperature, extraBody } = this.#settings;
    return { model, baseUrl, temperature, extraBody: JSON.stringify(extraBody) };
  }

  /**
   * One outcome a request, in order. Equal requests are asked once; an answer in the cache is not asked for again,
   * also at a temperature above 0: different seeds make different requests.
   *
   * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION; ENDPOINT_FAILED for what would end every call; the signal's
   *   reason when aborted. In each case no call is under way any more, and answers that came before are in the cache.
   */
  async complete(requests: readonly ChatRequest[], options: CompleteOptions = {}): Promise<ChatOutcome[]> {
    const given = checkOptions(options, ['signal', 'onProgress'], 'ChatEndpoint.complete');
    const signal = expectSignal('signal', given.signal);
    const bodies = this.#bodies(requests);
    signal?.throwIfAborted();
    const stop = new AbortController();
    const onAbort = () => stop.abort();
    signal?.addEventListener('abort', onAbort, { once: true });
    let failure: unknown;
    let done = 0;
    const unique = new Set(bodies);
    const calls = new Map<string, Promise<ChatOutcome>>();
    for (const body of unique) {
      const call = this.#limit(async () => {
        const outcome = await this.#outcome(body, stop.signal);
        given.onProgress?.({ done: (done += 1), total: unique.size });
        return outcome;
      });
      call.catch((error: unknown) => {
        if (stop.signal.aborted) return;
        failure = error; // what ends one call ends all
        stop.abort();
      });
      calls.set(body, call);
    }
    try {
      await Promise.allSettled(calls.values());
      signal?.throwIfAborted();
      if (stop.signal.aborted) throw failure;
      return await Promise.all(bodies.map((body) => calls.get(body)!));
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /**
   * What `complete` would take: calls that the cache cannot answer, and the tokens of these. Nothing is sent.
   * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
   */
  async estimate(requests: readonly ChatRequest[], options: EstimateOptions = {}): Promise<CallEstimate> {
    const bodies = [...new Set(this.#bodies(requests))];
    const open: string[] = [];
    for (const body of bodies) if ((await this.#cached(body)) === null) open.push(body);
    return estimateCalls(open, bodies.length, options);
  }

  /** Takes the answers to these requests out of the cache, so that they are asked anew: for answers of no use. */
  async forget(requests: readonly ChatRequest[]): Promise<void> {
    for (const body of this.#bodies(requests)) {
      await this.#withCache((cache) => cache.remove(this.#transport.url, body));
    }
  }

  #bodies(requests: readonly ChatRequest[]): string[] {
    expectArray('requests', requests);
    return requests.map((request, index) => this.#body(request, `requests[${index}]`));
  }

  /** The body as it is sent, in one order of fields: it is also what answers are found again by. */
  #body(request: ChatRequest, name: string): string {
    checkOptions(request, REQUEST_FIELDS, name);
    const { temperature, maxTokens, topLogprobs, seed, extraBody, model } = this.#settings;
    const messages = expectArray(`${name}.messages`, request.messages, { nonEmpty: true }).map((message) => {
      if (!isRecord(message)) throw invalid(`${name}.messages`, 'messages', message);
      return {
        role: expectString(`${name}.messages.role`, message.role),
        content: expectString(`${name}.messages.content`, message.content),
      };
    });
    const top = request.topLogprobs ?? topLogprobs;
    const givenSeed = request.seed ?? seed;
    const body: Record<string, unknown> = {
      model,
      messages,
      temperature: expectTemperature(request.temperature ?? temperature),
      max_tokens: expectMaxTokens(request.maxTokens ?? maxTokens),
      ...(top !== undefined && { logprobs: true, top_logprobs: expectTopLogprobs(top) }),
      ...(givenSeed !== undefined && { seed: expectInteger('seed', givenSeed, { min: 0 }) }),
    };
    for (const [field, value] of Object.entries(extraBody)) {
      if (value === null) Reflect.deleteProperty(body, field);
      else body[field] = value;
    }
    return JSON.stringify(body);
  }

  async #outcome(body: string, signal: AbortSignal): Promise<ChatOutcome> {
    signal.throwIfAborted();
    const kept = await this.#cached(body);
    if (kept !== null) return { answer: kept, cached: true };
    try {
      const answer = await this.#ask(body, signal);
      await this.#withCache((cache) => cache.write(this.#transport.url, body, answer));
      return { answer, cached: false };
    } catch (error) {
      if (error instanceof CallFailure) return { failed: error.message, status: error.status };
      throw error;
    }
  }

  async #ask(body: string, signal: AbortSignal): Promise<ChatAnswer> {
    const { maxRetries, retryDelayMs } = this.#settings;
    const attempt = async () => {
      await this.#pause(signal);
      return readReply(await this.#transport.post(body, signal));
    };
    return loadPRetry()(attempt, {
      retries: maxRetries,
      minTimeout: retryDelayMs,
      maxTimeout: MAX_RETRY_DELAY_MS,
      randomize: true,
      signal,
      shouldRetry: ({ error }) => error instanceof CallFailure && error.retryable,
      onFailedAttempt: ({ error }) => {
        if (!(error instanceof CallFailure) || error.retryAfterMs === undefined) return;
        this.#pausedUntilMs = Math.max(this.#pausedUntilMs, performance.now() + error.retryAfterMs);
      },
    });
  }

  /** A server that has had enough has had enough of all calls, not of one. */
  async #pause(signal: AbortSignal): Promise<void> {
    for (;;) {
      const leftMs = this.#pausedUntilMs - performance.now();
      if (leftMs <= 0) return;
      await sleep(Math.ceil(leftMs), undefined, { signal });
    }
  }

  async #cached(body: string): Promise<ChatAnswer | null> {
    return (await this.#withCache((cache) => cache.read(this.#transport.url, body))) ?? null;
  }

  /** A cache that fails costs no answer: it is told, once. */
  async #withCache<T>(use: (cache: AnswerCache) => Promise<T>): Promise<T | null> {
    if (this.#cache === null) return null;
    try {
      return await use(this.#cache);
    } catch (error) {
      if (!(error instanceof LspError)) throw error;
      if (!this.#warned) this.#settings.onWarning(error);
      this.#warned = true;
      return null;
    }
  }
}
