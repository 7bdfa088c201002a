/**
 * Writing a directory of model files completely or not at all: everything goes into a directory beside the target,
 * reaches the disk, and takes the target's name at the end. A failure leaves the target as it was.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { makeDirectories } from '../disk/files';
import { LspError } from '../errors';
import { ioError } from './formats/model-file';

export interface DirectoryKind {
  /** What it holds, for messages: "a model". */
  what: string;
  /** Names of the files that may be in it. */
  files: readonly string[];
  /** Whether this library wrote it, and may therefore replace it. */
  isOurs: (directory: string) => Promise<boolean>;
}

/**
 * @param json JSON files by name
 * @param writeWeights writes the other files into the directory it is given, completely
 * @throws LspError IO_ERROR (full disk, permissions), INVALID_ARGUMENT (the directory holds something else);
 *   whatever `writeWeights` throws
 */
export async function writeModelDirectory(
  directory: string,
  kind: DirectoryKind,
  json: Readonly<Record<string, unknown>>,
  writeWeights: (directory: string) => Promise<void>,
): Promise<void> {
  const target = resolve(directory);
  const parent = dirname(target);
  await io('create', parent, () => makeDirectories(parent));
  const replaced = await requireReplaceable(target, kind);
  const temporary = join(parent, `.${basename(target)}.${randomUUID()}.tmp`);
  try {
    await io('create', temporary, () => mkdir(temporary));
    for (const [name, value] of Object.entries(json)) {
      await io('write', join(temporary, name), () => writeDurably(join(temporary, name), value));
    }
    await writeWeights(temporary);
    await io('write', temporary, () => syncDirectory(temporary));
    await moveInto(target, temporary, replaced);
    await io('write', parent, () => syncDirectory(parent));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  }
}

async function io<T>(action: string, path: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof LspError ? error : ioError(path, action, error);
  }
}

/** True if there is a directory to replace, false if there is none; throws for anything not written here. */
async function requireReplaceable(target: string, { what, files, isOurs }: DirectoryKind): Promise<boolean> {
  let names: string[];
  try {
    names = await readdir(target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw ioError(target, 'write to', error);
  }
  if (names.length === 0) return true;
  const foreign = names.find((name) => !files.includes(name));
  if (foreign === undefined && (await isOurs(target))) return true;
  throw new LspError(
    'INVALID_ARGUMENT',
    `Expected an empty directory or one with ${what} saved before for \`dir\` but ${target} holds ` +
      `${foreign === undefined ? `${what} from elsewhere` : foreign}.`,
    { remedy: 'Save into a new directory.' },
  );
}

/** rename replaces an empty directory but not a full one: that one steps aside first and comes back on failure. */
async function moveInto(target: string, temporary: string, replaced: boolean): Promise<void> {
  if (!replaced) return io('write', target, () => rename(temporary, target));
  const aside = join(dirname(target), `.${basename(target)}.${randomUUID()}.old`);
  await io('replace', target, () => rename(target, aside));
  try {
    await io('write', target, () => rename(temporary, target));
  } catch (error) {
    await rename(aside, target).catch(() => undefined);
    throw error;
  }
  await rm(aside, { recursive: true, force: true }).catch(() => undefined);
}

async function writeDurably(path: string, value: unknown): Promise<void> {
  const indent = basename(path) === 'tokenizer.json' ? undefined : 2; // that one is large
  await withFile(path, 'wx', async (file) => {
    await file.writeFile(`${JSON.stringify(value, null, indent)}\n`);
    await file.sync();
  });
}

async function syncDirectory(path: string): Promise<void> {
  await withFile(path, 'r', (file) => file.sync());
}

async function withFile(
  path: string,
  flags: string,
  use: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await open(path, flags);
  try {
    await use(file);
  } finally {
    await file.close();
  }
}
