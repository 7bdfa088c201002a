/**
 * An append-only file of JSON records, one a line.
 *
 * A crash may leave a torn last line, and lines that a resumed run makes again. `cut` removes both, so that an
 * interrupted and resumed run leaves the same file as an uninterrupted one. A line that is no record and has records
 * after it is no crash's doing but damage: an error, before anything is cut.
 */
import { open, readFile, type FileHandle } from 'node:fs/promises';
import { LspError } from '../errors';
import { isRecord } from '../options';
import { systemCode, withIoErrors } from './files';

export class JsonLines<T extends object> {
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

  /** All whole records, but for a torn last line. @throws LspError INVALID_CHECKPOINT (damaged), IO_ERROR */
  async read(): Promise<T[]> {
    return (await this.#scan(() => true)).records;
  }

  /** Removes the first record that is not to be kept and all after it, and a torn last line. */
  async cut(keep: (record: T) => boolean): Promise<void> {
    const { byteLength, present } = await this.#scan(keep);
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

  /** The whole records up to the first that is not to be kept, and the bytes that they take from the start. */
  async #scan(keep: (record: T) => boolean): Promise<{ records: T[]; byteLength: number; present: boolean }> {
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
      if (record === null && end >= 0) this.#requireTorn(content, end + 1, records.length + 1);
      if (record === null || !keep(record)) break;
      records.push(record);
      start = byteLength = end + 1;
    }
    return { records, byteLength, present: content !== null };
  }

  /** Refuses a file that has a record after the line that is none. */
  #requireTorn(content: Buffer, from: number, line: number): void {
    const rest = content.toString('utf8', from).split('\n').slice(0, -1);
    if (!rest.some((text) => parseRecord(text) !== null)) return;
    throw new LspError(
      'INVALID_CHECKPOINT',
      `Expected a JSON record in line ${line} of \`${this.path}\` but received something else.`,
      { remedy: 'The file is damaged: restore it, or remove that line by hand. Nothing was changed.' },
    );
  }
}

function parseRecord(line: string): object | null {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}
