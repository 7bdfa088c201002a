/**
 * Options of a chat endpoint: their checks, and what the environment says.
 *
 * The key comes from the environment alone. An option would end up in configuration files, run directories and
 * shell histories.
 */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { LspError } from '../errors';
import {
  checkOptions,
  expectBoolean,
  expectFunction,
  expectInteger,
  expectNumber,
  expectString,
  invalid,
  isRecord,
} from '../options';

export interface ChatEndpointOptions {
  /** Name of the model, as the server knows it. */
  model: string;
  /** Address up to and with `/v1`. Default: OPENAI_BASE_URL, or https://api.openai.com/v1. */
  baseUrl?: string;
  /** Environment variable with the key. Default: OPENAI_API_KEY, which may be missing for a server that needs none. */
  apiKeyVariable?: string;
  /** Allow http:// to other machines than this one: prompts and key can be read on the way. Default false. */
  allowHttp?: boolean;
  /** Default 0. */
  temperature?: number;
  /** Most tokens of an answer. Default 512. */
  maxTokens?: number;
  /** Alternatives of each token to ask log-probabilities for, 0..20. Default: log-probabilities are not asked for. */
  topLogprobs?: number;
  /** For servers that know it. Default: not sent. */
  seed?: number;
  /** More fields of the request's body, e.g. `{ reasoning_effort: 'low' }`; null leaves out a field of ours. */
  extraBody?: Readonly<Record<string, unknown>>;
  /** Milliseconds one attempt may take, from connecting to the last byte. Default 120 000. */
  timeoutMs?: number;
  /** Attempts after the first one. Default 5. */
  maxRetries?: number;
  /** Milliseconds before the first retry; doubled for each further one, times a random factor in [1, 2). Default 500. */
  retryDelayMs?: number;
  /** Calls under way at a time. Default 4. */
  concurrency?: number;
  /** Most bytes of a response. Default 4 MiB. */
  maxResponseBytes?: number;
  /** Directory of the answers, false for none. Default: lsp/answers in XDG_CACHE_HOME or ~/.cache. */
  cache?: string | false;
  /** Told once when the cache cannot be read or written. Default: `process.emitWarning`. */
  onWarning?: (warning: LspError) => void;
}

const OPTION_NAMES = [
  'model',
  'baseUrl',
  'apiKeyVariable',
  'allowHttp',
  'temperature',
  'maxTokens',
  'topLogprobs',
  'seed',
  'extraBody',
  'timeoutMs',
  'maxRetries',
  'retryDelayMs',
  'concurrency',
  'maxResponseBytes',
  'cache',
  'onWarning',
];

/** Options with their defaults; the key is not among them, see `readKey`. */
export interface EndpointSettings {
  readonly model: string;
  readonly baseUrl: string;
  readonly keyVariable: string;
  readonly temperature: number;
  readonly maxTokens: number;
  readonly topLogprobs: number | undefined;
  readonly seed: number | undefined;
  readonly extraBody: Readonly<Record<string, unknown>>;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly retryDelayMs: number;
  readonly concurrency: number;
  readonly maxResponseBytes: number;
  /** Absolute; null for none. */
  readonly cacheDirectory: string | null;
  readonly onWarning: (warning: LspError) => void;
}

/** Longest delay of a timer in Node (2^31 - 1 ms); a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
export const MAX_TOP_LOGPROBS = 20;

/** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
export function resolveSettings(options: ChatEndpointOptions): EndpointSettings {
  const given = checkOptions(options, OPTION_NAMES, 'ChatEndpoint');
  return {
    model: expectString('model', given.model, { allowEmpty: false }),
    baseUrl: resolveBaseUrl(given.baseUrl, expectBoolean('allowHttp', given.allowHttp ?? false)),
    keyVariable: expectString('apiKeyVariable', given.apiKeyVariable ?? 'OPENAI_API_KEY', {
      allowEmpty: false,
    }),
    temperature: expectTemperature(given.temperature ?? 0),
    maxTokens: expectMaxTokens(given.maxTokens ?? 512),
    topLogprobs: given.topLogprobs === undefined ? undefined : expectTopLogprobs(given.topLogprobs),
    seed: given.seed === undefined ? undefined : expectInteger('seed', given.seed, { min: 0 }),
    extraBody: expectExtraBody(given.extraBody ?? {}),
    timeoutMs: expectNumber('timeoutMs', given.timeoutMs ?? 120_000, { above: 0, max: MAX_TIMER_MS }),
    maxRetries: expectInteger('maxRetries', given.maxRetries ?? 5, { min: 0, max: 100 }),
    retryDelayMs: expectNumber('retryDelayMs', given.retryDelayMs ?? 500, { min: 0, max: 60_000 }),
    concurrency: expectInteger('concurrency', given.concurrency ?? 4, { min: 1, max: 256 }),
    maxResponseBytes: expectInteger('maxResponseBytes', given.maxResponseBytes ?? 4 << 20, { min: 1 }),
    cacheDirectory: given.cache === false ? null : cacheDirectory(given.cache),
    onWarning: expectFunction('onWarning', given.onWarning ?? emitWarning),
  };
}

export function expectTemperature(value: unknown): number {
  return expectNumber('temperature', value, { min: 0 });
}

export function expectMaxTokens(value: unknown): number {
  return expectInteger('maxTokens', value, { min: 1 });
}

export function expectTopLogprobs(value: unknown): number {
  return expectInteger('topLogprobs', value, { min: 0, max: MAX_TOP_LOGPROBS });
}

/**
 * The key in the variable; undefined if it is unset or empty. It is never part of a message.
 * @param named whether the caller asked for this variable by name, so that its absence is a mistake
 * @throws LspError INVALID_ARGUMENT
 */
export function readKey(variable: string, named: boolean): string | undefined {
  const key = process.env[variable]?.trim();
  if (!key) {
    if (!named) return undefined;
    throw invalid(
      'apiKeyVariable',
      'the name of an environment variable with a key',
      variable,
      'It is not set.',
    );
  }
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new LspError(
    'INVALID_ARGUMENT',
    `Expected a key of visible ASCII characters in \`${variable}\` but received another text.`,
    { remedy: 'Copy it again.' },
  );
}

function resolveBaseUrl(option: string | undefined, allowHttp: boolean): string {
  const fromEnvironment = process.env['OPENAI_BASE_URL']?.trim();
  const name = option === undefined && fromEnvironment ? 'OPENAI_BASE_URL' : 'baseUrl';
  const text = option ?? (fromEnvironment ? fromEnvironment : 'https://api.openai.com/v1');
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') {
    throw invalid(name, 'an address that starts with https:// or http://', text);
  }
  // Not shown: both parts may hold a secret, and the address is written to records.
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new LspError(
      'INVALID_ARGUMENT',
      `Expected an address without user, password, query and fragment for \`${name}\` but received one with them.`,
      { remedy: 'The key belongs into the environment variable named by `apiKeyVariable`.' },
    );
  }
  if (url.protocol === 'http:' && !allowHttp && !isThisMachine(url.hostname)) {
    throw invalid(
      name,
      'an address that starts with https://, or one of this machine,',
      text,
      'Over http, prompts and key can be read on the way; set `allowHttp: true` for a network that you trust.',
    );
  }
  return url.href.replace(/\/+$/, '').replace(/\/chat\/completions$/, '');
}

/** Loopback names and addresses. */
export function isThisMachine(hostname: string): boolean {
  return /^(?:localhost|.*\.localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i.test(hostname);
}

function expectExtraBody(value: unknown): Readonly<Record<string, unknown>> {
  if (!isRecord(value)) throw invalid('extraBody', 'an object', value);
  for (const name of ['model', 'messages', 'stream', 'n']) {
    if (name in value) throw invalid('extraBody', `an object without \`${name}\``, value);
  }
  // In one order, and nothing but JSON: the body is what answers are found again by.
  const sorted = Object.keys(value)
    .sort()
    .map((name) => [name, value[name]]);
  try {
    return JSON.parse(JSON.stringify(Object.fromEntries(sorted))) as Record<string, unknown>;
  } catch {
    throw invalid('extraBody', 'plain data', value);
  }
}

function cacheDirectory(option: unknown): string {
  if (option !== undefined) return resolve(expectString('cache', option, { allowEmpty: false }));
  const caches = process.env['XDG_CACHE_HOME'];
  return join(caches ? caches : join(homedir(), '.cache'), 'lsp', 'answers');
}

function emitWarning(warning: LspError): void {
  process.emitWarning(`${warning.message} Answers are used, but not kept.`, {
    type: 'LspWarning',
    code: warning.code,
  });
}
