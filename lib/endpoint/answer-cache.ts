/**
 * Answers on the disk, one JSON file a call, under the SHA-256 of address and request: what was paid for is not asked
 * again, whatever ended the process. The key is no part of it.
 *
 * A file that is no answer to just this request (torn, edited, of another version) counts as none and is written anew.
 */
import { createHash } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fsyncPath, makeDirectory, systemCode, toIoError, withIoErrors } from '../disk/files';
import { isRecord } from '../options';
import { readKeptAnswer } from './response';
import type { ChatAnswer } from './types';

/** The name that a request's answer has. */
export function answerKey(url: string, body: string): string {
  return createHash('sha256').update(`${url}\n${body}`).digest('hex');
}

let writes = 0;

export class AnswerCache {
  readonly directory: string;
  #made = false;

  constructor(directory: string) {
    this.directory = directory;
  }

  /**
   * @returns null where there is no answer to this request
   * @throws LspError IO_ERROR
   */
  async read(url: string, body: string): Promise<ChatAnswer | null> {
    const path = this.#path(answerKey(url, body));
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return null;
      throw toIoError(error, 'read', path);
    }
    try {
      const entry: unknown = JSON.parse(text);
      if (!isRecord(entry) || entry.format !== 1 || entry.url !== url) return null;
      return JSON.stringify(entry.request) === body ? readKeptAnswer(entry.answer) : null;
    } catch {
      return null;
    }
  }

  /** @throws LspError IO_ERROR */
  async write(url: string, body: string, answer: ChatAnswer): Promise<void> {
    const key = answerKey(url, body);
    const path = this.#path(key);
    const entry = { format: 1, url, request: JSON.parse(body) as unknown, answer };
    // Of its own for each writer, since two processes may get the same answer at the same time.
    const temporary = join(this.directory, `.${key}.${process.pid}-${(writes += 1)}.tmp`);
    if (!this.#made) await makeDirectory(this.directory);
    this.#made = true;
    await withIoErrors('write', path, async () => {
      try {
        const handle = await open(temporary, 'wx', 0o600);
        try {
          await handle.writeFile(`${JSON.stringify(entry)}\n`);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(temporary, path);
        await fsyncPath(this.directory);
      } catch (error) {
        this.#made = false; // somebody may have removed the directory
        await rm(temporary, { force: true });
        throw error;
      }
    });
  }

  /** @throws LspError IO_ERROR */
  async remove(url: string, body: string): Promise<void> {
    const path = this.#path(answerKey(url, body));
    await withIoErrors('remove', path, () => rm(path, { force: true }));
  }

  #path(key: string): string {
    return join(this.directory, `${key}.json`);
  }
}
