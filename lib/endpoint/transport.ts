/**
 * One attempt of one call over HTTP, bounded in time and size: a body goes out, a JSON value comes back, and everything
 * else becomes a `CallFailure`, or an `LspError` where all calls would meet the same.
 *
 * undici itself and not Node's own `fetch`: that one ends every reply that is not there after five minutes, whatever
 * time limit is set, and knows no proxies. Redirects are not followed, so that the key goes to nobody else.
 */
import type { Dispatcher } from 'undici';
import { isRecord } from '../options';
import { CallFailure, excerpt, refusal } from './failure';
import { isThisMachine, type EndpointSettings } from './options';
import { loadUndici } from './packages';

/** A refusal's text is shown in part; more than this of it is not read. */
const MAX_ERROR_BYTES = 64 << 10;

/** A server that asks for a longer pause gets none: the call fails, and can be made again later. */
const MAX_RETRY_AFTER_MS = 5 * 60_000;

/** Shorter keys are placeholders ("EMPTY", "none") and may stand in any text. */
const SHORTEST_SECRET = 12;

/** Codes of certificates that will not get better. */
const CERTIFICATE = /^(?:CERT_|ERR_TLS_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

interface Reply {
  status: number;
  headers: Dispatcher.ResponseData['headers'];
  text: string;
}

export class Transport {
  readonly url: string;
  readonly #key: string | undefined;
  readonly #keyVariable: string;
  readonly #model: string;
  readonly #timeoutMs: number;
  readonly #maxResponseBytes: number;
  readonly #dispatcher: Dispatcher;

  constructor(settings: EndpointSettings, key: string | undefined) {
    this.url = `${settings.baseUrl}/chat/completions`;
    this.#key = key;
    this.#keyVariable = settings.keyVariable;
    this.#model = settings.model;
    this.#timeoutMs = settings.timeoutMs;
    this.#maxResponseBytes = settings.maxResponseBytes;
    // The one limit is timeoutMs. A proxy of the environment is not for this machine.
    const { Agent, EnvHttpProxyAgent } = loadUndici();
    const limits = { headersTimeout: 0, bodyTimeout: 0 };
    this.#dispatcher = isThisMachine(new URL(this.url).hostname)
      ? new Agent(limits)
      : new EnvHttpProxyAgent(limits);
  }

  /**
   * @returns the JSON of a reply with status 200
   * @throws CallFailure; LspError ENDPOINT_FAILED; the signal's reason when aborted
   */
  async post(body: string, signal: AbortSignal): Promise<unknown> {
    const reply = await this.#send(body, signal);
    if (reply.status !== 200) throw this.#refused(reply);
    const contentType = String(reply.headers['content-type'] ?? '');
    if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(contentType)) {
      throw new CallFailure(
        `a reply of content type ${excerpt(contentType)} instead of JSON: ${excerpt(reply.text)}`,
        { retryable: true, status: reply.status },
      );
    }
    try {
      return JSON.parse(reply.text) as unknown;
    } catch {
      throw new CallFailure(`a reply that is no JSON: ${excerpt(reply.text)}`, {
        retryable: true,
        status: reply.status,
      });
    }
  }

  async #send(body: string, signal: AbortSignal): Promise<Reply> {
    signal.throwIfAborted();
    const controller = new AbortController();
    const onAbort = () => controller.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    const timeout = new CallFailure(`no whole reply within ${this.#timeoutMs} ms`, { retryable: true });
    const timer = setTimeout(() => controller.abort(timeout), this.#timeoutMs);
    try {
      return await this.#exchange(body, controller.signal);
    } catch (error) {
      signal.throwIfAborted();
      if (controller.signal.aborted) throw timeout;
      throw error instanceof CallFailure ? error : this.#broken(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #exchange(body: string, signal: AbortSignal): Promise<Reply> {
    const {
      statusCode,
      headers,
      body: stream,
    } = await loadUndici().request(this.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        'accept-encoding': 'identity',
        ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }),
      },
      body,
      signal,
      dispatcher: this.#dispatcher,
    });
    const isError = statusCode !== 200;
    const limit = isError ? MAX_ERROR_BYTES : this.#maxResponseBytes;
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      // Leaving the loop closes the connection.
      if (bytes > limit) break;
      chunks.push(chunk);
    }
    if (bytes > limit && !isError) {
      throw new CallFailure(`a reply of more than ${limit} bytes`, { retryable: true, status: statusCode });
    }
    return { status: statusCode, headers, text: this.#withoutKey(Buffer.concat(chunks).toString('utf8')) };
  }

  /** Some servers repeat the key in their messages. What leaves this class goes to logs, errors and the cache. */
  #withoutKey(text: string): string {
    const key = this.#key;
    return key !== undefined && key.length >= SHORTEST_SECRET ? text.replaceAll(key, '[key]') : text;
  }

  #refused({ status, headers, text }: Reply): Error {
    const message = messageOf(text);
    const received = `status ${status}: ${excerpt(message)}`;
    if (status === 401 || status === 403) {
      const key = this.#key === undefined ? 'No key was sent: set it' : 'Check the key';
      return refusal(this.url, received, `${key} in the environment variable ${this.#keyVariable}.`);
    }
    if (status === 404) {
      return refusal(this.url, received, `Check \`model\` (${excerpt(this.#model)}) and \`baseUrl\`.`);
    }
    if (status === 402 || (status === 429 && text.includes('insufficient_quota'))) {
      return refusal(this.url, received, 'Add credit to the account, then run it again.');
    }
    if (status >= 300 && status < 400) {
      const target = excerpt(String(headers.location ?? ''));
      return refusal(
        this.url,
        `status ${status}, which points to ${target}`,
        'Give the final address as `baseUrl`.',
      );
    }
    const passing = status < 300 || status >= 500 || [408, 409, 425, 429].includes(status);
    const retryAfterMs = readRetryAfter(headers);
    if (retryAfterMs !== undefined && retryAfterMs > MAX_RETRY_AFTER_MS) {
      const seconds = Math.ceil(retryAfterMs / 1000);
      return new CallFailure(`${received}, and to come back after ${seconds} s`, {
        retryable: false,
        status,
      });
    }
    return new CallFailure(received, { retryable: passing, status, retryAfterMs });
  }

  #broken(error: unknown): Error {
    const { code } = error as { code?: unknown };
    // undici's messages hold no headers of the request; those of its parser hold bytes of the reply, and are not shown.
    const name = typeof code === 'string' ? code : (error as Error).name;
    const cut = code === 'UND_ERR_SOCKET' ? 'a connection that was closed' : `no reply: ${name}`;
    if (typeof code === 'string' && CERTIFICATE.test(code)) {
      return refusal(
        this.url,
        `a certificate that is not trusted: ${code}`,
        'Set NODE_EXTRA_CA_CERTS to its issuer.',
      );
    }
    return new CallFailure(cut, { retryable: true });
  }
}

/** What the server says: `error.message` of its JSON, or the text itself. */
function messageOf(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    const error = isRecord(value) ? (value.error ?? value) : value;
    if (typeof error === 'string') return error;
    if (isRecord(error) && typeof error.message === 'string') return error.message;
  } catch {
    // No JSON: an HTML page of a proxy, for example.
  }
  return text;
}

/** Retry-After (RFC 9110, 10.2.3: seconds or a date) and `retry-after-ms`; undefined where there is none. */
function readRetryAfter(headers: Dispatcher.ResponseData['headers']): number | undefined {
  const milliseconds = Number.parseFloat(String(headers['retry-after-ms']));
  if (milliseconds >= 0) return milliseconds;
  const text = String(headers['retry-after'] ?? '').trim();
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
