/** What a sandbox runs, within which limits, and what came of it. */

/** Limits of one run. All are for the program and everything that it starts, together. */
export interface SandboxLimits {
  /** Milliseconds by the clock, default 10 000. */
  timeoutMs: number;
  /** Bytes of memory, default 512 MiB: of address space for each process, of memory in use for all of them. */
  memoryBytes: number;
  /** Processes and threads, default 32. */
  maxProcesses: number;
  /** Bytes of standard output, and of standard error; default 64 KiB each. */
  maxOutputBytes: number;
  /** Bytes of files in the work folder, default 64 MiB; they are memory and count as such, too. */
  maxFileBytes: number;
}

export interface SandboxProgram extends Partial<SandboxLimits> {
  /** What to run; the first element is an absolute path inside the sandbox or a name in /usr/bin. */
  command?: readonly string[];
  /** Runs `files['main.py']` with the sandbox's Python, instead of a command. */
  language?: 'python';
  /** Content by relative path, in the work folder, where the program starts; gone when the run ends. */
  files?: Readonly<Record<string, string | Uint8Array>>;
  /** Content by relative path, in /program; the program can read but not change them. */
  readOnlyFiles?: Readonly<Record<string, string | Uint8Array>>;
  stdin?: string | Uint8Array;
}

/**
 * - `ok`: it ended with exit code 0. It says so itself: that is no verdict on anything.
 * - `failed`: another exit code, or a signal
 * - `timeout`, `memory`, `output`, `files`: stopped at that limit
 */
export type SandboxStatus = 'ok' | 'failed' | 'timeout' | 'memory' | 'output' | 'files';

export interface SandboxResult {
  status: SandboxStatus;
  /** The program's exit code, 128 + signal if a signal ended it; null if it was stopped at a limit. */
  exitCode: number | null;
  /** At most `maxOutputBytes` bytes, read as UTF-8. */
  stdout: string;
  stderr: string;
  /** By the clock, start-up of the sandbox included. */
  seconds: number;
}
