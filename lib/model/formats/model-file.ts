/**
 * Reading the headers of model files that may be hostile. Every read is bounded: a length found in a file is
 * compared with what is left of the file, and with a ceiling, before anything is allocated from it.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { isUtf8 } from 'node:buffer';
import { LspError } from '../../errors';

/** The `INVALID_MODEL_FILE` error; throw what it returns. */
export function corrupt(path: string, what: string, remedy?: string, cause?: unknown): LspError {
  return new LspError('INVALID_MODEL_FILE', `${path}: ${what}`, {
    remedy: remedy ?? 'The file is damaged or not what its name says: download or convert it again.',
    cause,
  });
}

/** The `UNSUPPORTED_MODEL` error; throw what it returns. */
export function unsupported(path: string, what: string, remedy?: string): LspError {
  return new LspError('UNSUPPORTED_MODEL', `${path}: ${what}`, { remedy });
}

/** An `IO_ERROR` for a failed system call. */
export function ioError(path: string, action: string, error: unknown, hint = ''): LspError {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  const reason = code ?? (error instanceof Error ? error.message : String(error));
  return new LspError('IO_ERROR', `Could not ${action} ${path}: ${reason}.`, {
    remedy: remedyFor(code) + hint,
    cause: error,
  });
}

function remedyFor(code: string | undefined): string {
  switch (code) {
    case 'ENOENT':
      return 'Check the path: nothing is there.';
    case 'EACCES':
    case 'EPERM':
      return 'Check the permissions.';
    case 'ELOOP':
      return 'Its symbolic links form a loop: point to the file itself.';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'Free some disk space and try again.';
    default:
      return 'Check the path, its permissions and the disk.';
  }
}

/** A regular file opened for bounded positional reads. Pipes and devices are refused before opening (open may hang). */
export class ModelFile {
  readonly size: number;
  readonly #descriptor: number;

  constructor(readonly path: string) {
    try {
      if (!statSync(path).isFile()) throw corrupt(path, 'expected a regular file.', 'Check the path.');
      this.#descriptor = openSync(path, 'r');
      this.size = fstatSync(this.#descriptor).size;
    } catch (error) {
      throw error instanceof LspError ? error : ioError(path, 'open', error);
    }
  }

  /** Exactly `length` bytes from `offset`; the caller has checked both against `size`. */
  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      let count: number;
      try {
        count = readSync(this.#descriptor, bytes, done, length - done, offset + done);
      } catch (error) {
        throw ioError(this.path, 'read', error);
      }
      if (count === 0) throw corrupt(this.path, `it ends at byte ${offset + done}, while it is being read.`);
      done += count;
    }
    return bytes;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Opens, hands over and closes whatever happens. */
export function withModelFile<T>(path: string, use: (file: ModelFile) => T): T {
  const file = new ModelFile(path);
  try {
    return use(file);
  } finally {
    file.close();
  }
}

/** A whole small text file in UTF-8 (a leading byte-order mark is dropped), refused beyond `maxBytes`. */
export function readTextFile(path: string, maxBytes: number): string {
  return withModelFile(path, (file) => {
    if (file.size > maxBytes) {
      throw corrupt(path, `expected at most ${maxBytes} bytes but the file has ${file.size}.`);
    }
    const bytes = file.read(0, file.size);
    if (!isUtf8(bytes)) throw corrupt(path, 'expected UTF-8 text.');
    const text = bytes.toString('utf8');
    return text.startsWith('\ufeff') ? text.slice(1) : text;
  });
}

const CHUNK_BYTES = 1 << 20;

/** Sequential little-endian reader over a file, in chunks, never beyond `limit` bytes from the start. */
export class FileCursor {
  #chunk: Buffer = Buffer.alloc(0);
  #chunkStart = 0;
  #position = 0;
  readonly #end: number;

  constructor(
    private readonly file: ModelFile,
    limit: number,
  ) {
    this.#end = Math.min(file.size, limit);
  }

  get position(): number {
    return this.#position;
  }

  /** Bytes left before the end of the file (or the limit). */
  get remaining(): number {
    return this.#end - this.#position;
  }

  /** Throws unless `length` more bytes are there; `what` says what needs them. */
  require(length: number, what: string): void {
    if (!(length <= this.remaining)) {
      throw corrupt(
        this.file.path,
        `${what} at byte ${this.#position} needs ${length} bytes but only ${this.remaining} are left` +
          `${this.#end < this.file.size ? ' of the largest header this version reads' : ''}.`,
      );
    }
  }

  bytes(length: number, what: string): Buffer {
    this.require(length, what);
    const start = this.#position - this.#chunkStart;
    if (start < 0 || start + length > this.#chunk.length) {
      const size = Math.min(Math.max(length, CHUNK_BYTES), this.remaining);
      this.#chunk = this.file.read(this.#position, size);
      this.#chunkStart = this.#position;
      return this.#take(0, length);
    }
    return this.#take(start, length);
  }

  #take(start: number, length: number): Buffer {
    this.#position += length;
    return this.#chunk.subarray(start, start + length);
  }

  skip(length: number, what: string): void {
    this.require(length, what);
    this.#position += length;
    // The chunk no longer covers the position when it was skipped past; `bytes` reads a new one then.
  }

  uint32(what: string): number {
    return this.bytes(4, what).readUInt32LE(0);
  }

  /** A 64-bit count, length or offset that must be an exact number. */
  uint64(what: string): number {
    const at = this.#position;
    const value = this.bytes(8, what).readBigUInt64LE(0);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw corrupt(this.file.path, `${what} at byte ${at} is ${value}, beyond any real file.`);
    }
    return Number(value);
  }

  /** A length-prefixed UTF-8 string. */
  string(maxBytes: number, what: string): string {
    const at = this.#position;
    const length = this.uint64(`the length of ${what}`);
    if (length > maxBytes) {
      throw corrupt(
        this.file.path,
        `${what} at byte ${at} claims ${length} bytes; at most ${maxBytes} are allowed.`,
      );
    }
    const bytes = this.bytes(length, what);
    if (!isUtf8(bytes)) throw corrupt(this.file.path, `${what} at byte ${at} is not UTF-8.`);
    return bytes.toString('utf8');
  }
}
