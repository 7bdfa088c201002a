/** Data files of tests, in a folder that goes when they are done. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Answer } from '../../lib/eval/evaluation';

export class DataFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'lsp-eval-'));

  write(name: string, rows: readonly unknown[]): string {
    return this.writeText(name, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  }

  writeText(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}

export const answerOf = (text: string): Answer => ({ text, finishReason: 'eos', tokens: 1 });

export const never = (): { signal: AbortSignal } => ({ signal: new AbortController().signal });
