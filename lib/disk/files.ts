/**
 * Durable files: what a run directory needs of a file system, with failures as `LspError('IO_ERROR')`.
 *
 * Durable means: content is fsynced before the name that people look for exists, and the directory is fsynced after
 * it does. A rename without the first can survive a power cut while the content does not.
 */
import { constants, type Stats } from 'node:fs';
import { lstat, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { types } from 'node:util';
import { LspError } from '../errors';

const REMEDIES: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: free some space, or write to another disk.',
  EDQUOT: 'The disk quota is used up: free some space, or write to another disk.',
  EACCES: 'Check the permissions of the path and of the folders above it.',
  EPERM: 'Check the permissions of the path and of the folders above it.',
  EROFS: 'The file system is read-only: write to another one.',
  ENOENT: 'Check the path.',
  ENOTDIR: 'Check the path: one of its folders is a file.',
  EISDIR: 'It is a directory: give the path of a file.',
  EMFILE: 'Too many files are open: raise the limit (ulimit -n).',
};

/** The system's code of an error, e.g. `ENOSPC`; also of an error that was wrapped. */
export function systemCode(error: unknown): string | undefined {
  for (let current = error; types.isNativeError(current); current = current.cause) {
    const { code, syscall } = current as NodeJS.ErrnoException;
    if (typeof code === 'string' && (syscall !== undefined || code in REMEDIES)) return code;
  }
  return undefined;
}

/** `error` as an `LspError`: those that are one stay as they are, abort reasons too. */
export function toIoError(error: unknown, action: string, path: string): unknown {
  if (error instanceof LspError) return error;
  const code = systemCode(error);
  if (code === undefined) return error;
  return new LspError('IO_ERROR', `Expected to ${action} \`${path}\` but received ${code}.`, {
    cause: error,
    remedy: REMEDIES[code] ?? (error as Error).message,
  });
}

/** Runs a file operation; a system error becomes an `LspError('IO_ERROR')` that says what was attempted. */
export async function withIoErrors<T>(action: string, path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw toIoError(error, action, path);
  }
}

/** Status of a path, a link not followed; null if there is nothing. */
export async function statusOf(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw toIoError(error, 'read', path);
  }
}

/** Names in a directory, sorted; null if it does not exist. */
export async function namesIn(directory: string): Promise<string[] | null> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw toIoError(error, 'list', directory);
  }
}

/** Flushes a file or a directory to the disk. */
export async function fsyncPath(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Flushes every file below `directory`, then every directory, innermost first. */
export async function fsyncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await fsyncTree(path);
    else if (entry.isFile()) await fsyncPath(path);
  }
  await fsyncPath(directory);
}

/** Like mkdir's `recursive`, which never returns where a file system denies that its directories can be (/proc). */
export async function makeDirectories(path: string): Promise<void> {
  const make = async () => {
    await mkdir(path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    });
  };
  try {
    await make();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await makeDirectories(dirname(path));
    await make();
  }
}

/** Makes a directory and those above it, durably. */
export async function makeDirectory(path: string): Promise<void> {
  await withIoErrors('make the directory', path, async () => {
    if ((await statusOf(path)) !== null) return;
    await makeDirectories(path);
    await fsyncPath(dirname(path));
  });
}

/** Replaces a file: a reader sees the old content or the new, never a part, also after a power cut. */
export async function writeFileDurably(path: string, content: string): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.tmp`);
  await withIoErrors('write', path, async () => {
    try {
      await writeFile(temporary, content);
      await fsyncPath(temporary);
      await rename(temporary, path);
      await fsyncPath(dirname(path));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  });
}

/** JSON for people: indented, one final newline. */
export function prettyJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
