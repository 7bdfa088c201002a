/**
 * The usual cache of the hub, as Python's `huggingface_hub` lays it out
 * (https://huggingface.co/docs/huggingface_hub/guides/manage-cache):
 *
 *   models--org--name/refs/main                      the commit that a branch or tag was when it was asked for
 *   models--org--name/snapshots/<commit>/<file>      a link into blobs
 *   models--org--name/blobs/<hash>                   content; <hash>.incomplete while it is being downloaded
 *   models--org--name/.no_exist/<commit>/<file>      empty: the hub has said that there is no such file
 *
 * A link is made after its blob is complete, so that whatever can be read in a snapshot is whole.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { LspError } from '../errors';
import { ioError } from '../model/formats/model-file';
import { hubLibrary } from './library';
import { hubSettings } from './settings';

export interface Repository {
  type: 'model' | 'dataset';
  /** `org/name`. */
  repo: string;
  /** Branch, tag or commit. */
  revision: string;
}

const COMMIT = /^[0-9a-f]{40}$/;

export function isCommit(text: string): boolean {
  return COMMIT.test(text);
}

export function repositoryFolder({ type, repo }: Repository): string {
  return join(hubSettings().cacheDirectory, hubLibrary().getRepoFolderName({ type, name: repo }));
}

export function snapshotFolder(repository: Repository, commit: string): string {
  return join(repositoryFolder(repository), 'snapshots', commit);
}

export function blobPath(repository: Repository, hash: string): string {
  return join(repositoryFolder(repository), 'blobs', hash);
}

/** The commit that a revision means by the cache alone, or undefined. */
export function cachedCommit(repository: Repository): string | undefined {
  if (isCommit(repository.revision)) return repository.revision;
  try {
    const text = readFileSync(join(repositoryFolder(repository), 'refs', repository.revision), 'utf8').trim();
    return isCommit(text) ? text : undefined;
  } catch {
    return undefined; // never asked for, or a folder (the refs of pull requests lie in one)
  }
}

/** Where the files of a repository are looked for: the snapshot, or its place to come. */
export function expectedFolder(repository: Repository): string {
  const commit = cachedCommit(repository);
  return commit === undefined
    ? join(repositoryFolder(repository), 'snapshots')
    : snapshotFolder(repository, commit);
}

/** A file in a snapshot, if its content is there too. */
export function cachedFile(snapshot: string, path: string): string | undefined {
  const file = join(snapshot, path);
  return existsSync(file) && statSync(file).isFile() ? file : undefined;
}

/** Has the hub said that a commit has no file of that name? */
export function isKnownAbsent(repository: Repository, commit: string, path: string): boolean {
  return existsSync(join(repositoryFolder(repository), '.no_exist', commit, path));
}

export async function markAbsent(repository: Repository, commit: string, path: string): Promise<void> {
  const marker = join(repositoryFolder(repository), '.no_exist', commit, path);
  await withDisk(marker, async () => {
    await mkdir(dirname(marker), { recursive: true });
    await writeFile(marker, '');
  });
}

/** Makes the link of a complete blob; one that points elsewhere is replaced. */
export async function linkBlob(blob: string, file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  // Made aside and renamed: another process may be doing the same.
  const temporary = `${file}.${randomUUID()}.tmp`;
  await symlink(relative(dirname(file), blob), temporary);
  await rename(temporary, file);
}

/** Remembers which commit a branch or tag is. */
export async function writeRef(repository: Repository, commit: string): Promise<void> {
  if (isCommit(repository.revision)) return;
  const path = join(repositoryFolder(repository), 'refs', repository.revision);
  const temporary = `${path}.${randomUUID()}.tmp`;
  await withDisk(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(temporary, commit);
    await rename(temporary, path);
  });
}

/** System errors of the cache's disk as `IO_ERROR`; all else as it is. */
export async function withDisk<T>(path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const isSystem = (error as NodeJS.ErrnoException | null)?.syscall !== undefined;
    throw isSystem && !(error instanceof LspError) ? ioError(path, 'write into the cache', error) : error;
  }
}

/** A relative path that stays below its folder, in characters that need no escape in an address. */
export function isRepositoryPath(text: string): boolean {
  return (
    /^[\w.+=@,()[\] -]+(\/[\w.+=@,()[\] -]+)*$/.test(text) &&
    !text.split('/').some((part) => /^\.{1,2}$/.test(part))
  );
}
