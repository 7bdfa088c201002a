/** Where the real model and its reference values lie, if they do; tests that need them skip without. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const SHARED = resolve(__dirname, '../../../shared');
const MODEL = process.env['LSP_TEST_MODEL'] ?? join(SHARED, 'models/SmolLM2-135M-Instruct.Q4_1.gguf');
const FIXTURES = join(dirname(dirname(MODEL)), 'fixtures/smollm2');

export const realModel = existsSync(MODEL) && existsSync(FIXTURES) ? MODEL : undefined;

if (realModel === undefined) {
  process.stderr.write(`No test model at ${MODEL} (set LSP_TEST_MODEL): tests on it are skipped.\n`);
}

/** `describe`, or `describe.skip` without the model. */
export const describeWithModel = realModel === undefined ? describe.skip : describe;

/** A fixture file's JSON; the caller names its type. */
export function fixture(name: string): unknown {
  return JSON.parse(readFileSync(join(FIXTURES, name), 'utf8'));
}
