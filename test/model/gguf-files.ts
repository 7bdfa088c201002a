/** A GGUF file in a folder of its own, written as a test wants it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openModelSource } from '../../lib/model/formats';
import { encodeGguf, GGUF, type GgufInput, tinyGguf } from '../support/tiny-gguf';

/** The file's path, and what writes and opens it; it is removed after the tests of a file. */
export function useGgufFile() {
  const directory = mkdtempSync(join(tmpdir(), 'lsp-gguf-'));
  const path = join(directory, 'model.gguf');
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  function openBytes(bytes: Buffer) {
    writeFileSync(path, bytes);
    return openModelSource(path);
  }
  return { path, openBytes };
}

export function changed(change: (input: GgufInput) => void): Buffer {
  const input = tinyGguf();
  change(input);
  return encodeGguf(input);
}

export const setField = (input: GgufInput, key: string, value: unknown, type?: number) => {
  const field = input.fields.find((entry) => entry.key === key);
  if (field) Object.assign(field, { value }, type !== undefined && { type });
  else input.fields.push({ key, value, type: type ?? GGUF.U32 });
};

export const dropField = (input: GgufInput, key: string) => {
  input.fields = input.fields.filter((field) => field.key !== key);
};

export const tensorOf = (input: GgufInput, name: string) =>
  input.tensors.find((tensor) => tensor.name === name)!;

export const HUGE = 2n ** 63n;
