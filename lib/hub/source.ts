/** Sources of models that are not on this machine yet: 'org/name', 'org/name@revision', 'org/name:file.gguf'. */
import { existsSync } from 'node:fs';
import { LspError } from '../errors';
import { BUNDLED_MODEL } from '../model/formats/bundled';
import { expectString, invalid } from '../options';
import { cachedCommit, isRepositoryPath, snapshotFolder, writeRef, type Repository } from './cache';
import { HubClient } from './client';
import { checkHubOptions, type HubOptions, isRepositoryName, isRevision } from './file';
import { cachedModel, downloadModel, onlyCachedGguf } from './model';

interface HubSource extends Repository {
  /** A .gguf file of the repository. */
  file: string | undefined;
}

/**
 * A source of a model as a path on this machine: the files of a hub id come from the usual cache, or are downloaded into
 * it. All else (a path, 'tiny') is returned as it is; something on the disk comes before a hub id of the same name.
 *
 * What is complete in the cache is used without asking the hub, see `hubFile`.
 *
 * @param source a path, 'tiny', or 'org/name', with '@revision' (a branch, tag or commit) and ':file.gguf' if wanted. A
 *   repository without safetensors needs no file name if it has one .gguf file
 * @throws LspError HUB_UNAVAILABLE, HUB_REFUSED, IO_ERROR, UNSUPPORTED_MODEL, INVALID_MODEL_FILE, UNKNOWN_OPTION,
 *   INVALID_ARGUMENT (also for several .gguf files of which none is named); the signal's reason when aborted
 */
export async function resolveModelSource(source: string, options?: HubOptions): Promise<string> {
  const { signal, onProgress } = checkHubOptions(options, 'resolveModelSource');
  expectString('source', source, { allowEmpty: false });
  if (source === BUNDLED_MODEL || existsSync(source)) return source;
  const parsed = parseHubSource(source);
  if (!parsed) return source;
  const { file, ...repository } = parsed;
  const known = cachedCommit(repository);
  const cached = known === undefined ? undefined : cachedModel(repository, known, file);
  if (cached !== undefined) return cached;
  try {
    const client = new HubClient(repository, signal);
    const commit = await client.commit();
    const path = await downloadModel(client, commit, file, onProgress);
    await writeRef(repository, commit);
    return path;
  } catch (error) {
    if (!(error instanceof LspError) || error.code !== 'HUB_UNAVAILABLE') throw error;
    const fallback =
      known === undefined || file !== undefined
        ? undefined
        : onlyCachedGguf(snapshotFolder(repository, known));
    if (fallback === undefined) throw error;
    return fallback;
  }
}

/**
 * A source as a hub id, or undefined if it can only be a path.
 * @throws LspError INVALID_ARGUMENT for a hub id with an impossible revision or file
 */
export function parseHubSource(source: string): HubSource | undefined {
  const [, repo, revision = 'main', file] = /^([^@:]*)(?:@([^:]*))?(?::(.*))?$/s.exec(source) ?? [];
  if (repo === undefined || !isRepositoryName(repo)) return undefined;
  // A file that is not there, and no repository.
  if (repo === source && /\.(gguf|safetensors)$/i.test(repo)) return undefined;
  if (!isRevision(revision)) throw invalid('source', 'a branch, tag or commit after @', source);
  if (file !== undefined && !(isRepositoryPath(file) && /\.gguf$/i.test(file))) {
    throw invalid('source', 'the name of a .gguf file after the colon', source);
  }
  return { type: 'model', repo, revision, file };
}
