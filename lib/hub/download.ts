/**
 * One file of the hub into the cache.
 *
 * `downloadFileToCacheDir` of `@huggingface/hub` is not used: it starts again after an interruption, takes whatever
 * arrived for the file, and writes to the standard output. Here a file goes on where its `.incomplete` blob ends, and
 * becomes a blob only after its hash has been found right and the disk has it. Blobs are named by their content, and
 * bytes are written at their own offsets: two processes that download the same file write the same bytes.
 */
import { createHash, type Hash } from 'node:crypto';
import { constants, createReadStream, existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { blobPath, linkBlob, snapshotFolder, withDisk } from './cache';
import { type HubClient, type RemoteFile, unavailable } from './client';

/** Called with the bytes of this file that are there so far. */
export type OnBytes = (bytes: number) => void;

/**
 * Makes sure that a file is in the snapshot of a commit.
 *
 * @returns its path there
 * @throws LspError HUB_UNAVAILABLE, HUB_REFUSED, IO_ERROR; the signal's reason when aborted
 */
export async function downloadFile(
  client: HubClient,
  commit: string,
  file: RemoteFile,
  onBytes: OnBytes = () => undefined,
): Promise<string> {
  const blob = blobPath(client.repository, file.hash);
  const path = join(snapshotFolder(client.repository, commit), file.path);
  await withDisk(path, async () => {
    await mkdir(dirname(blob), { recursive: true });
    // What is left of an interrupted download may be of no use (a power cut, another program): then once from the start.
    if (!existsSync(blob) && !(await completeBlob(client, commit, file, blob, onBytes))) {
      if (!(await completeBlob(client, commit, file, blob, onBytes))) {
        throw unavailable(client.repository, `other bytes than the hub's own hash of ${file.path} promises`);
      }
    }
    await linkBlob(blob, path);
  });
  onBytes(file.bytes);
  return path;
}

/** Downloads what is missing of a blob. False if the whole is not what it should be; then nothing is left of it. */
async function completeBlob(
  client: HubClient,
  commit: string,
  file: RemoteFile,
  blob: string,
  onBytes: OnBytes,
): Promise<boolean> {
  const incomplete = `${blob}.incomplete`;
  const handle = await open(incomplete, constants.O_RDWR | constants.O_CREAT);
  try {
    const hash = startHash(file);
    const { size } = await handle.stat();
    let position = Math.min(size, file.bytes + 1);
    if (position > 0 && position <= file.bytes) await hashFile(incomplete, position, hash, client.signal);
    onBytes(Math.min(position, file.bytes));
    if (position < file.bytes)
      position = await fetchRest(client, commit, file, { handle, position, hash, onBytes });
    if (position !== file.bytes || hash.digest('hex') !== file.hash) {
      await rm(incomplete, { force: true });
      return false;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(incomplete, blob).catch((error: unknown) => {
    // Another process has been quicker.
    if (!existsSync(blob)) throw error;
  });
  return true;
}

interface Rest {
  handle: FileHandle;
  /** Bytes that are there. */
  position: number;
  hash: Hash;
  onBytes: OnBytes;
}

/** Appends the rest of a file; returns where it ended, which is beyond the file for a server that ignores ranges. */
async function fetchRest(
  client: HubClient,
  commit: string,
  file: RemoteFile,
  { handle, position, hash, onBytes }: Rest,
): Promise<number> {
  const content = await client.content(commit, file.path);
  const part = position === 0 ? content : content.slice(position, file.bytes);
  const reader = (part.stream() as ReadableStream<Uint8Array>).getReader();
  let end = position;
  try {
    for (;;) {
      const { done, value } = await client.ask(() => reader.read());
      if (done) return end;
      if (end + value.length > file.bytes) return Infinity;
      await writeAll(handle, value, end);
      hash.update(value);
      end += value.length;
      onBytes(end);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

/** Large files are named by the SHA-256 of their content, small ones as git names a blob (SHA-1 with a header). */
function startHash({ hash, bytes }: RemoteFile): Hash {
  return hash.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${bytes}\0`);
}

async function hashFile(path: string, length: number, hash: Hash, signal?: AbortSignal): Promise<void> {
  for await (const chunk of createReadStream(path, { end: length - 1, highWaterMark: 1 << 20 })) {
    signal?.throwIfAborted();
    hash.update(chunk as Buffer);
  }
}
