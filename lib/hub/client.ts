/**
 * Questions to the hub through `@huggingface/hub`, whose failures become errors that say where the files are expected
 * and how else to get them there.
 */
import type { ListFileEntry, PathInfo } from '@huggingface/hub';
import { LspError } from '../errors';
import { expectedFolder, isCommit, isRepositoryPath, type Repository } from './cache';
import { hubLibrary } from './library';
import { hubSettings, hubToken } from './settings';

/** A file of a repository at one commit. */
export interface RemoteFile {
  path: string;
  bytes: number;
  /** Name of its blob: the SHA-256 of a large file's content, the git object id of a small one's. */
  hash: string;
}

/** The hub's answers for one repository; what it throws is an `LspError` or the signal's reason. */
export class HubClient {
  readonly #parameters;

  /** @throws LspError HUB_UNAVAILABLE when HF_HUB_OFFLINE is set, INVALID_ARGUMENT for a token that is none */
  constructor(
    readonly repository: Repository,
    readonly signal?: AbortSignal,
  ) {
    const { endpoint, offline } = hubSettings();
    if (offline) throw unavailable(repository, 'HF_HUB_OFFLINE is set and they are not all in the cache');
    this.#parameters = {
      repo: { type: repository.type, name: repository.repo },
      hubUrl: endpoint,
      accessToken: hubToken(),
      fetch: ((input, init) => fetch(input, { ...init, signal: signal ?? null })) as typeof fetch,
    };
  }

  /** The commit that the revision is now. */
  async commit(): Promise<string> {
    const { modelInfo, datasetInfo } = hubLibrary();
    const { type, repo, revision } = this.repository;
    const question = { ...this.#parameters, name: repo, revision };
    const { sha }: { sha?: unknown } = await this.ask(() =>
      type === 'model'
        ? modelInfo({ ...question, additionalFields: ['sha'] })
        : datasetInfo({ ...question, additionalFields: ['sha'] }),
    );
    if (typeof sha === 'string' && isCommit(sha)) return sha;
    throw unavailable(this.repository, 'the hub answered without a commit');
  }

  /** All files at a commit. */
  async files(commit: string): Promise<RemoteFile[]> {
    return this.ask(async () => {
      const files: RemoteFile[] = [];
      const { listFiles } = hubLibrary();
      for await (const entry of listFiles({ ...this.#parameters, revision: commit, recursive: true })) {
        // Its path becomes one on this machine: whatever could lead out of the cache is not there for us.
        if (entry.type === 'file' && isRepositoryPath(entry.path)) files.push(this.#remoteFile(entry));
      }
      return files;
    });
  }

  /** One file at a commit; undefined if there is none of that path. */
  async file(commit: string, path: string): Promise<RemoteFile | undefined> {
    const { pathsInfo } = hubLibrary();
    const found = await this.ask(() => pathsInfo({ ...this.#parameters, revision: commit, paths: [path] }));
    const entry = found.find((candidate) => candidate.path === path && candidate.type === 'file');
    return entry && this.#remoteFile(entry);
  }

  /** The content of a file, to be read as a stream or in part. */
  async content(commit: string, path: string): Promise<Blob> {
    const { downloadFile } = hubLibrary();
    // Plain HTTP rather than Xet: it goes on after any byte, and a mirror or a proxy between needs to know nothing.
    const blob = await this.ask(() =>
      downloadFile({ ...this.#parameters, revision: commit, path, xet: false }),
    );
    if (blob) return blob;
    throw refused(this.repository, `no file ${path} there`);
  }

  /** Runs something that asks the hub. */
  async ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (error) {
      this.signal?.throwIfAborted();
      throw error instanceof LspError ? error : hubError(this.repository, error);
    }
  }

  #remoteFile({ path, size, oid, lfs }: ListFileEntry | PathInfo): RemoteFile {
    const hash = lfs?.oid ?? oid ?? '';
    // Used as a file name.
    if (/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash) && Number.isSafeInteger(size)) {
      return { path, bytes: size, hash };
    }
    throw unavailable(this.repository, `the hub tells no size and hash of ${path}`);
  }
}

/** A mistyped path looks like a hub id. */
function noPath({ type, repo }: Repository): string {
  return type === 'model' ? ` (There is no path ${repo} either.)` : '';
}

/** The `HUB_UNAVAILABLE` error; throw what it returns. */
export function unavailable(repository: Repository, received: string, cause?: unknown): LspError {
  return new LspError(
    'HUB_UNAVAILABLE',
    `Expected the files of ${repository.repo} in ${expectedFolder(repository)} or from the hub but received: ` +
      `${received}.`,
    {
      remedy:
        'Try again when the hub can be reached, or put them into the cache with ' +
        `${command(repository)}.${noPath(repository)}`,
      cause,
    },
  );
}

/** The `HUB_REFUSED` error; throw what it returns. */
export function refused(
  repository: Repository,
  received: string,
  remedy?: string,
  cause?: unknown,
): LspError {
  const { repo, revision } = repository;
  return new LspError(
    'HUB_REFUSED',
    `Expected the ${repository.type} ${repo} at revision ${revision} on ${hubSettings().endpoint} but received: ` +
      `${received}.`,
    {
      remedy:
        `${remedy ?? 'Check the name.'} Files that are already on this machine belong into ` +
        `${expectedFolder(repository)} (${command(repository)} puts them there).${noPath(repository)}`,
      cause,
    },
  );
}

/** The command of Python's huggingface_hub that fills the same cache. */
function command({ type, repo, revision }: Repository): string {
  const options = [
    type === 'dataset' && '--repo-type dataset',
    revision !== 'main' && `--revision ${revision}`,
  ];
  return `\`${['hf download', repo, ...options.filter(Boolean)].join(' ')}\``;
}

function hubError(repository: Repository, error: unknown): LspError {
  const status = (error as { statusCode?: unknown } | null)?.statusCode;
  const { repo } = repository;
  if (status === 404) return refused(repository, 'nothing of that name (status 404)', undefined, error);
  if (status === 401 || status === 403) {
    return refused(
      repository,
      `no permission (status ${status})`,
      `If the name is right, accept the licence of ${repo} on its page, and set HF_TOKEN to a token that may read it.`,
      error,
    );
  }
  if (typeof status === 'number')
    return unavailable(repository, `the hub answered with status ${status}`, error);
  return unavailable(
    repository,
    `no whole answer from ${hubSettings().endpoint} (${reasonOf(error)})`,
    error,
  );
}

/** Node's fetch says only "fetch failed"; the cause knows why. */
function reasonOf(error: unknown): string {
  for (let current = error; current instanceof Error; current = current.cause) {
    const { code } = current as NodeJS.ErrnoException;
    if (typeof code === 'string') return code;
    if (current.cause === undefined) return current.message;
  }
  return String(error);
}
