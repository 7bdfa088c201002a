/** One file of a hub repository, from the usual cache or into it. */
import {
  checkOptions,
  expectFunction,
  expectOneOf,
  expectSignal,
  expectString,
  invalid,
  isRecord,
} from '../options';
import {
  cachedCommit,
  cachedFile,
  snapshotFolder,
  writeRef,
  type Repository,
  isRepositoryPath,
} from './cache';
import { HubClient, refused } from './client';
import { downloadFile } from './download';

/** A file of a repository of the hub. */
export interface HubFile {
  type: 'model' | 'dataset';
  /** `org/name`. */
  repo: string;
  /** Path within the repository. */
  path: string;
  /** Branch, tag or commit (default main). */
  revision?: string;
}

export interface DownloadProgress {
  /** Path of the file that is being downloaded, within its repository. */
  file: string;
  /** Bytes of the needed files that are on this machine, and in all. */
  downloadedBytes: number;
  totalBytes: number;
}

export interface HubOptions {
  signal?: AbortSignal;
  /** Called often while files are downloaded; never when all of them are in the cache. */
  onProgress?: (progress: DownloadProgress) => void;
}

/**
 * The local path of a file of the hub. One that is in the cache is used as it is, without asking the hub; to get what
 * is new on a branch, name the commit as `revision`.
 *
 * The cache, the login and the endpoint are those of Python's `huggingface_hub`: HF_HOME, HF_HUB_CACHE, HF_TOKEN,
 * HF_ENDPOINT and HF_HUB_OFFLINE are honoured.
 *
 * @throws LspError HUB_UNAVAILABLE (offline, unreachable, failing or cut off: what has arrived is kept, and the next
 *   call goes on from there), HUB_REFUSED (no such repository or file, or no permission), IO_ERROR (the cache cannot be
 *   written), INVALID_ARGUMENT, UNKNOWN_OPTION; the signal's reason when aborted
 */
export async function hubFile(file: HubFile, options?: HubOptions): Promise<string> {
  const { path, ...repository } = checkHubFile(file);
  const { signal, onProgress } = checkHubOptions(options, 'hubFile');
  const commit = cachedCommit(repository);
  const cached = commit === undefined ? undefined : cachedFile(snapshotFolder(repository, commit), path);
  if (cached !== undefined) return cached;
  const client = new HubClient(repository, signal);
  const current = await client.commit();
  const remote = await client.file(current, path);
  if (!remote) throw refused(repository, `no file ${path} there`);
  const local = await downloadFile(client, current, remote, (bytes) =>
    onProgress?.({ file: path, downloadedBytes: bytes, totalBytes: remote.bytes }),
  );
  await writeRef(repository, current);
  return local;
}

/** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION; the signal's reason when it is aborted already */
export function checkHubOptions(options: HubOptions | undefined, owner: string): HubOptions {
  const { signal, onProgress } = checkOptions(options, ['signal', 'onProgress'], owner);
  expectSignal('signal', signal)?.throwIfAborted();
  if (onProgress !== undefined) expectFunction('onProgress', onProgress);
  return { signal, onProgress };
}

function checkHubFile(file: HubFile): Repository & { path: string } {
  if (!isRecord(file)) throw invalid('file', 'an object with `type`, `repo` and `path`', file);
  const {
    type,
    repo,
    path,
    revision = 'main',
  } = checkOptions(file, ['type', 'repo', 'path', 'revision'], 'hubFile');
  expectOneOf('type', type, ['model', 'dataset']);
  if (!isRepositoryName(expectString('repo', repo))) throw invalid('repo', 'a repository org/name', repo);
  if (!isRevision(expectString('revision', revision))) {
    throw invalid('revision', 'a branch, tag or commit', revision);
  }
  if (!isRepositoryPath(expectString('path', path)))
    throw invalid('path', 'a path within the repository', path);
  return { type, repo, path, revision };
}

/** Two names of letters, digits, `-`, `_` and `.`: nothing that could lead out of the cache's folder. */
export function isRepositoryName(text: string): boolean {
  return /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/.test(text) && !/--|\.\./.test(text);
}

/** A branch, a tag or a commit, by the rules of git as far as they matter for file names. */
export function isRevision(text: string): boolean {
  return /^[\w.+-]+(\/[\w.+-]+)*$/.test(text) && !text.includes('..') && text.length <= 255;
}
