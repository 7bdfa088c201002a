/**
 * What a model was at the start of a run: the size and hash of each of its files.
 *
 * The frozen reference of a run is its starting point. Checkpoints do not repeat it (it would double their size);
 * a resumed run loads it from where it came, and must notice when that is no longer the same.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { LspError } from '../errors';
import { namesIn, withIoErrors } from '../disk/files';

export interface FileFingerprint {
  /** Name within the model's directory. */
  file: string;
  bytes: number;
  sha256: string;
}

export interface StartingModel {
  /** Absolute path of a file or a directory. */
  path: string;
  files: FileFingerprint[];
}

/** Files of a Hugging Face directory that decide what a model computes or how its text is read. */
const MODEL_FILES = /\.(?:json|safetensors|jinja|model|txt)$/;

/** Reads every file of a model, a .gguf or a directory, once. */
export async function fingerprintModel(path: string, signal?: AbortSignal): Promise<StartingModel> {
  const absolute = resolve(path);
  const status = await withIoErrors('read the model', path, () => stat(absolute));
  const names = status.isDirectory()
    ? (await namesIn(absolute))!.filter((name) => MODEL_FILES.test(name))
    : [basename(absolute)];
  const files: FileFingerprint[] = [];
  for (const name of names) {
    const file = status.isDirectory() ? join(absolute, name) : absolute;
    files.push({ file: name, ...(await hashFile(file, signal)) });
  }
  return { path: absolute, files };
}

async function hashFile(path: string, signal?: AbortSignal): Promise<Omit<FileFingerprint, 'file'>> {
  return withIoErrors('read', path, async () => {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
      signal?.throwIfAborted();
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
    }
    return { bytes, sha256: hash.digest('hex') };
  });
}

/**
 * Checks that a model is still what it was.
 *
 * @throws LspError INVALID_CHECKPOINT if it is missing or has changed, or files came to it that may be read instead
 */
export async function verifyStartingModel(source: StartingModel, signal?: AbortSignal): Promise<void> {
  let now: StartingModel;
  try {
    now = await fingerprintModel(source.path, signal);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw changedModel(source.path, 'nothing that can be read there', error);
  }
  const known = new Map(now.files.map((file) => [file.file, file]));
  for (const { file, bytes, sha256 } of source.files) {
    const found = known.get(file);
    if (found === undefined) throw changedModel(source.path, `no file ${file}`);
    if (found.bytes !== bytes || found.sha256 !== sha256) {
      throw changedModel(source.path, `another ${file} (${found.bytes} bytes, then ${bytes})`);
    }
  }
  const expected = new Set(source.files.map(({ file }) => file));
  const added = now.files.find(({ file }) => !expected.has(file));
  if (added !== undefined) throw changedModel(source.path, `a new file ${added.file}`);
}

function changedModel(path: string, received: string, cause?: unknown): LspError {
  return new LspError(
    'INVALID_CHECKPOINT',
    `Expected the model that the run started from at \`${path}\` but received ${received}.`,
    {
      cause,
      remedy:
        'The run keeps near that model, so it cannot go on without it. Put it back, or start a new run.',
    },
  );
}
