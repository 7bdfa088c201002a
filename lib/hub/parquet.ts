/**
 * Parquet tables as records, by `hyparquet`, with Node's own decompression.
 *
 * A file says itself how large its content is; that is compared with ceilings before anything is unpacked.
 */
import * as zlib from 'node:zlib';
import { LspError } from '../errors';
import { damaged } from './data-errors';
import type { Row } from './rows';

const MAX_UNPACKED_BYTES = 1024 * 2 ** 20;

type Decompressor = (input: Uint8Array, outputLength: number) => Uint8Array;

/** Snappy, the usual one, is in hyparquet; Zstandard is in Node.js from 22.15 on. */
function decompressors(): Record<string, Decompressor> {
  const { zstdDecompressSync } = zlib as { zstdDecompressSync?: typeof zlib.gunzipSync };
  const bounded =
    (unpack: typeof zlib.gunzipSync): Decompressor =>
    (input, length) =>
      unpack(input, { maxOutputLength: Math.max(1, length) });
  return {
    GZIP: bounded(zlib.gunzipSync),
    BROTLI: bounded(zlib.brotliDecompressSync),
    ...(zstdDecompressSync && { ZSTD: bounded(zstdDecompressSync) }),
  };
}

export interface ReadParquetOptions {
  maxRows: number;
  signal?: AbortSignal;
}

/**
 * All rows of a Parquet file.
 * @throws LspError INVALID_ARGUMENT (damaged, too large, or compressed in a way that cannot be undone here)
 */
export async function readParquet(path: string, { maxRows, signal }: ReadParquetOptions): Promise<Row[]> {
  const { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } = await import('hyparquet');
  try {
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    if (metadata.num_rows > BigInt(maxRows)) {
      throw damaged(path, `at most ${maxRows} rows`, String(metadata.num_rows));
    }
    let unpacked = 0n;
    for (const { columns } of metadata.row_groups) {
      for (const column of columns) unpacked += column.meta_data?.total_uncompressed_size ?? 0n;
    }
    if (unpacked > BigInt(MAX_UNPACKED_BYTES)) {
      throw damaged(path, `at most ${MAX_UNPACKED_BYTES} bytes when unpacked`, String(unpacked));
    }
    signal?.throwIfAborted();
    const rows = await parquetReadObjects({ file, metadata, compressors: decompressors(), utf8: false });
    signal?.throwIfAborted();
    return rows.map((row) => plain(row) as Row);
  } catch (error) {
    if (error instanceof LspError || signal?.aborted) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw damaged(path, 'a sound Parquet table', `an error of its reader (${reason})`, error);
  }
}

/** A value as JSON can hold it. */
function plain(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) || ArrayBuffer.isView(value))
    return Array.from(value as ArrayLike<unknown>, plain);
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, plain(field)]));
}
