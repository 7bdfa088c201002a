/**
 * An append-only file of JSON records, one a line, each with the `step` it belongs to, in order of steps.
 *
 * A crash may leave a torn last line, and lines of steps after the last checkpoint, which a resumed run makes again.
 * `cutAfter` removes both, so that an interrupted and resumed run leaves the same file as an uninterrupted one.
 */
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { isRecord } from '../options';
import { systemCode, withIoErrors } from './files';

export interface StepRecord {
  step: number;
}

export class JsonLines<T extends StepRecord> {
  readonly path: string;
  #handle: FileHandle | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Appends records and flushes them to the disk. */
  async append(...records: T[]): Promise<void> {
    if (records.length === 0) return;
    const text = records.map((record) => `${JSON.stringify(record)}\n`).join('');
    await withIoErrors('append to', this.path, async () => {
      this.#handle ??= await open(this.path, 'a');
      const { size } = await this.#handle.stat();
      try {
        await this.#handle.appendFile(text);
        await this.#handle.sync();
      } catch (error) {
        // A disk that fills up mid-line must not leave half a record before the next one.
        await this.#handle.truncate(size).catch(() => undefined);
        throw error;
      }
    });
  }

  /** All whole records; a torn line ends the reading. */
  async read(): Promise<T[]> {
    return (await this.#scan(Infinity)).records;
  }

  /** Removes the records of steps after `step`, and a torn last line. */
  async cutAfter(step: number): Promise<void> {
    const { byteLength, present } = await this.#scan(step);
    if (!present) return;
    await withIoErrors('cut', this.path, async () => {
      const handle = await open(this.path, 'r+');
      try {
        await handle.truncate(byteLength);
        await handle.sync();
      } finally {
        await handle.close();
      }
    });
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  /** The whole records up to `lastStep` and the bytes that they take from the start of the file. */
  async #scan(lastStep: number): Promise<{ records: T[]; byteLength: number; present: boolean }> {
    const content = await withIoErrors('read', this.path, async () => {
      try {
        return await readFile(this.path);
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return null;
        throw error;
      }
    });
    const records: T[] = [];
    let byteLength = 0;
    for (let start = 0; content !== null;) {
      const end = content.indexOf(0x0a, start);
      const record = end < 0 ? null : (parseRecord(content.toString('utf8', start, end)) as T | null);
      if (record === null || record.step > lastStep) break;
      records.push(record);
      start = byteLength = end + 1;
    }
    return { records, byteLength, present: content !== null };
  }
}

function parseRecord(line: string): StepRecord | null {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) && typeof value.step === 'number' ? (value as unknown as StepRecord) : null;
  } catch {
    return null;
  }
}
