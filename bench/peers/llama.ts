/** llama.cpp by its own benches: `llama-bench` for prefill, `llama-batched-bench` for decoding. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MOST_OUTPUT = 1 << 26;

export interface LlamaRun {
  /** Folder of the binaries. */
  bin: string;
  gguf: string;
  threads: number;
  signal?: AbortSignal;
}

/** Binaries of a source tree that was built, or of the folder itself. */
export function llamaBinaries(folder: string): string | undefined {
  return [join(folder, 'build', 'bin'), folder].find((bin) => existsSync(join(bin, 'llama-batched-bench')));
}

/** Tokens a second of reading a prompt. */
export async function llamaPrefill(
  { bin, gguf, threads, signal }: LlamaRun,
  tokens: number,
): Promise<number> {
  const args = ['-m', gguf, '-t', threads, '-p', tokens, '-n', 0, '-r', 1, '-o', 'json'].map(String);
  const { stdout } = await run(join(bin, 'llama-bench'), args, { maxBuffer: MOST_OUTPUT, signal });
  return parseLlamaBench(stdout, tokens);
}

/** Tokens a second of decoding, all sequences together, by the number of sequences. */
export async function llamaDecode(
  { bin, gguf, threads, signal }: LlamaRun,
  batches: readonly number[],
  promptTokens: number,
  newTokens: number,
): Promise<Map<number, number>> {
  const context = Math.max(...batches) * (promptTokens + newTokens);
  const args = [
    ...['-m', gguf, '-t', threads, '-tb', threads, '-c', context],
    ...['-npp', promptTokens, '-ntg', newTokens, '-npl', batches.join(',')],
    ...['--output-format', 'jsonl'],
  ].map(String);
  const { stdout } = await run(join(bin, 'llama-batched-bench'), args, { maxBuffer: MOST_OUTPUT, signal });
  return parseBatchedBench(stdout, newTokens);
}

/** The row of `llama-bench -o json` for a prompt of so many tokens. @throws Error where there is none */
export function parseLlamaBench(output: string, tokens: number): number {
  const rows = JSON.parse(output.slice(output.indexOf('['))) as Record<string, number>[];
  const speed = rows.find((row) => row['n_prompt'] === tokens && row['n_gen'] === 0)?.['avg_ts'];
  if (!(speed! > 0)) throw new Error(`llama-bench printed no speed for a prompt of ${tokens} tokens`);
  return speed!;
}

/** `pl` → `speed_tg` of the lines of `llama-batched-bench --output-format jsonl`. @throws Error where there are none */
export function parseBatchedBench(output: string, newTokens: number): Map<number, number> {
  const speeds = new Map<number, number>();
  for (const line of output.split('\n')) {
    if (!line.startsWith('{')) continue;
    const row = JSON.parse(line) as Record<string, number>;
    if (row['tg'] === newTokens && row['speed_tg']! > 0) speeds.set(row['pl']!, row['speed_tg']!);
  }
  if (speeds.size === 0) throw new Error('llama-batched-bench printed no speeds');
  return speeds;
}
