/** Small JSON files of a model directory. */
import { isRecord } from '../../options';
import { corrupt, readTextFile } from './model-file';
import { JsonError, parseStrictJson, type JsonObject } from './strict-json';

/** A JSON file that must hold an object. */
export function readJsonObject(path: string, maxBytes: number): JsonObject {
  const text = readTextFile(path, maxBytes);
  try {
    const value = parseStrictJson(text);
    if (isRecord(value)) return value;
  } catch (error) {
    if (error instanceof JsonError) throw corrupt(path, `it is not valid JSON: ${error.message}.`);
    throw error;
  }
  throw corrupt(path, 'expected a JSON object.');
}
