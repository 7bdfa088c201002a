/**
 * What the environment says about the hub, under the names and with the defaults of Python's `huggingface_hub`
 * (https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables), so that both share one cache
 * and one login. Read at each use: a program may set them after it has loaded the library.
 */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { LspError } from '../errors';
import { describe } from '../options';

export interface HubSettings {
  /** HF_ENDPOINT, without a slash at its end. */
  endpoint: string;
  /** HF_HUB_CACHE, or `hub` in HF_HOME, or `huggingface/hub` in XDG_CACHE_HOME or ~/.cache. */
  cacheDirectory: string;
  /** HF_HUB_OFFLINE. */
  offline: boolean;
}

export function hubSettings(): HubSettings {
  return {
    endpoint: endpointOf(variable('HF_ENDPOINT') ?? 'https://huggingface.co'),
    cacheDirectory: expandHome(
      variable('HF_HUB_CACHE') ?? variable('HUGGINGFACE_HUB_CACHE') ?? join(homeDirectory(), 'hub'),
    ),
    offline: /^(1|on|yes|true)$/i.test(variable('HF_HUB_OFFLINE') ?? ''),
  };
}

/**
 * HF_TOKEN, or the file that `hf auth login` writes (HF_TOKEN_PATH, or `token` in HF_HOME); undefined for none.
 * @throws LspError INVALID_ARGUMENT for what cannot be a token; it is never shown
 */
export function hubToken(): string | undefined {
  const given =
    variable('HF_TOKEN') ?? tokenFile(variable('HF_TOKEN_PATH') ?? join(homeDirectory(), 'token'));
  const token = given?.trim();
  if (!token) return undefined;
  if (/^hf_[\x21-\x7e]+$/.test(token)) return token;
  throw new LspError(
    'INVALID_ARGUMENT',
    'Expected a token that starts with hf_ for `HF_TOKEN` but received another text.',
    {
      remedy: 'Copy it again from huggingface.co/settings/tokens, or unset it: public models need none.',
    },
  );
}

/** An empty variable is as good as none. */
function variable(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

function homeDirectory(): string {
  const caches = variable('XDG_CACHE_HOME') ?? join(homedir(), '.cache');
  return expandHome(variable('HF_HOME') ?? join(caches, 'huggingface'));
}

function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}

function tokenFile(path: string): string | undefined {
  try {
    return readFileSync(expandHome(path), 'utf8');
  } catch {
    return undefined; // nobody has logged in here
  }
}

function endpointOf(text: string): string {
  const trimmed = text.replace(/\/+$/, '');
  if (/^https?:\/\/./i.test(trimmed) && URL.canParse(trimmed)) return trimmed;
  throw new LspError(
    'INVALID_ARGUMENT',
    `Expected an http(s) address for \`HF_ENDPOINT\` but received ${describe(text)}.`,
    {
      remedy: 'Unset it to use huggingface.co.',
    },
  );
}
