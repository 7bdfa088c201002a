/** Why a call has no answer: one class for what may pass or concerns this call only, `LspError` for what ends all of them. */
import { LspError } from '../errors';

export class CallFailure extends Error {
  /** Whether another attempt may do better. */
  readonly retryable: boolean;
  /** HTTP status; null where there was no reply. */
  readonly status: number | null;
  /** What the server asks to wait before the next attempt. */
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    options: { retryable: boolean; status?: number | undefined; retryAfterMs?: number | undefined },
  ) {
    super(message);
    this.name = 'CallFailure';
    this.retryable = options.retryable;
    this.status = options.status ?? null;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** The error of a refusal that every other call would meet too. */
export function refusal(url: string, received: string, remedy: string): LspError {
  return new LspError('ENDPOINT_FAILED', `Expected an answer from \`${url}\` but received ${received}.`, {
    remedy,
  });
}

/** A short form of untrusted text for messages: one line, in quotes. */
export function excerpt(text: string): string {
  const line = text.replace(/[\p{C}\s]+/gu, ' ').trim();
  return JSON.stringify(line.length > MAX_EXCERPT ? `${line.slice(0, MAX_EXCERPT)}…` : line);
}

const MAX_EXCERPT = 200;
