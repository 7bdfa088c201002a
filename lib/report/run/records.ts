/**
 * Records of a run as a report needs them: read one by one, however many there are, and forgiving.
 *
 * A report must come out of a run that is still going on, was torn apart by a full disk, or was written by another
 * version. So damaged lines are skipped and counted, and a field is looked up by its path and checked where it is used.
 */
import { createReadStream } from 'node:fs';
import { isRecord } from '../../options';
import { systemCode, withIoErrors } from '../../disk/files';

export type JsonRecord = Readonly<Record<string, unknown>> & { readonly step: number };

const NEWLINE = 0x0a;

/**
 * Calls `visit` with each record of a file of JSON lines; none if there is no such file.
 *
 * @returns lines that are no records, a last one without its line break aside: that one is being written
 */
export async function eachRecord(path: string, visit: (record: JsonRecord) => void): Promise<number> {
  let damaged = 0;
  const line = (bytes: Buffer) => {
    if (bytes.length === 0) return;
    const record = parse(bytes.toString('utf8'));
    if (record === null) damaged++;
    else visit(record);
  };
  await withIoErrors('read', path, async () => {
    // Not readline: it takes U+2028, which JSON does not escape, for the end of a line.
    let rest: Buffer[] = [];
    try {
      for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
        let start = 0;
        for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
          line(Buffer.concat([...rest, chunk.subarray(start, end)]));
          rest = [];
          start = end + 1;
        }
        if (start < chunk.length) rest.push(chunk.subarray(start));
      }
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  });
  return damaged;
}

/** All records of a file in the order of their steps; of several for one step the last. */
export async function readByStep(path: string): Promise<{ records: JsonRecord[]; damaged: number }> {
  const byStep = new Map<number, JsonRecord>();
  const damaged = await eachRecord(path, (record) => byStep.set(record.step, record));
  return { records: [...byStep.values()].sort((a, b) => a.step - b.step), damaged };
}

function parse(text: string): JsonRecord | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) && Number.isSafeInteger(value.step) ? (value as JsonRecord) : null;
  } catch {
    return null;
  }
}

/** The value at a path of keys, undefined where there is none. */
export function valueAt(value: unknown, ...path: readonly string[]): unknown {
  let current = value;
  for (const key of path) {
    if (!isRecord(current) || !Object.hasOwn(current, key)) return undefined;
    current = current[key];
  }
  return current;
}

/** The finite number at a path, or null. */
export function numberAt(value: unknown, ...path: readonly string[]): number | null {
  const found = valueAt(value, ...path);
  return typeof found === 'number' && Number.isFinite(found) ? found : null;
}

/** The string at a path, or null. */
export function textAt(value: unknown, ...path: readonly string[]): string | null {
  const found = valueAt(value, ...path);
  return typeof found === 'string' ? found : null;
}

/** The items at a path; none if it holds no array. */
export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = valueAt(value, ...path);
  return Array.isArray(found) ? found : [];
}
