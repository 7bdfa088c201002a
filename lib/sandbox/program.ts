/** Checks what a caller wants to run, and fills in the limits. */
import {
  checkOptions,
  expectArray,
  expectInteger,
  expectOneOf,
  expectString,
  invalid,
  isRecord,
} from '../options';
import { PROGRAM_FOLDER, WORK_FOLDER, type PassedFile } from './bubblewrap';
import type { ContainedProgram } from './contained';
import type { SandboxLimits, SandboxProgram } from './types';

const MEBIBYTE = 2 ** 20;

export const DEFAULT_LIMITS: Readonly<SandboxLimits> = {
  timeoutMs: 10_000,
  memoryBytes: 512 * MEBIBYTE,
  maxProcesses: 32,
  maxOutputBytes: 64 * 1024,
  maxFileBytes: 64 * MEBIBYTE,
};

export const LIMIT_NAMES = Object.keys(DEFAULT_LIMITS) as (keyof SandboxLimits)[];

/** Least values: an interpreter needs so much to start at all. */
const LEAST: Readonly<SandboxLimits> = {
  timeoutMs: 1,
  memoryBytes: 32 * MEBIBYTE,
  maxProcesses: 4,
  maxOutputBytes: 0,
  maxFileBytes: 4096,
};

/** A descriptor each. */
const MOST_FILES = 64;
const MAIN = 'main.py';

/** Limits given, the others from `defaults`. @throws LspError INVALID_ARGUMENT */
export function settleLimits(given: Partial<SandboxLimits>, defaults: SandboxLimits): SandboxLimits {
  const limit = (name: keyof SandboxLimits, max?: number): number =>
    expectInteger(name, given[name] ?? defaults[name], { min: LEAST[name], max });
  return {
    timeoutMs: limit('timeoutMs', 2 ** 31 - 1), // the longest delay of a timer in Node
    memoryBytes: limit('memoryBytes'),
    maxProcesses: limit('maxProcesses'),
    maxOutputBytes: limit('maxOutputBytes'),
    maxFileBytes: limit('maxFileBytes'),
  };
}

/** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
export function settleProgram(
  program: SandboxProgram,
  defaults: SandboxLimits,
  python: string,
): ContainedProgram {
  const known = ['command', 'language', 'files', 'readOnlyFiles', 'stdin', ...LIMIT_NAMES];
  const checked = checkOptions(program, known, 'Sandbox.run');
  const limits = settleLimits(checked, defaults);
  const files = [
    ...passedFiles('files', checked.files, WORK_FOLDER, '0644'),
    ...passedFiles('readOnlyFiles', checked.readOnlyFiles, PROGRAM_FOLDER, '0444'),
  ];
  checkFolders(files);
  if (files.length > MOST_FILES) throw invalid('files', `at most ${MOST_FILES} files`, files);
  const bytes = files.reduce((total, { content }) => total + Buffer.byteLength(content), 0);
  if (bytes > limits.maxFileBytes) {
    throw invalid('files', `at most ${limits.maxFileBytes} bytes (\`maxFileBytes\`) in all`, bytes);
  }
  return {
    command: commandOf(checked, files, python),
    files,
    stdin: checkContent('stdin', checked.stdin ?? ''),
    limits,
  };
}

function commandOf(program: SandboxProgram, files: readonly PassedFile[], python: string): string[] {
  if (program.language !== undefined) {
    expectOneOf('language', program.language, ['python']);
    if (program.command !== undefined) throw invalid('command', 'nothing beside `language`', program.command);
    const main = [WORK_FOLDER, PROGRAM_FOLDER].map((folder) => `${folder}/${MAIN}`);
    const found = main.find((path) => files.some((file) => file.path === path));
    if (found === undefined) throw invalid('files', `a file ${MAIN}`, program.files);
    return [python, '-s', '-B', found];
  }
  const command = expectArray('command', program.command, { nonEmpty: true });
  return command.map((word, i) => expectText(`command[${i}]`, word));
}

function passedFiles(name: string, given: unknown, folder: string, mode: string): PassedFile[] {
  if (given === undefined) return [];
  if (!isRecord(given)) throw invalid(name, 'an object of contents by path', given);
  return Object.entries(given).map(([path, content]) => ({
    path: `${folder}/${checkPath(name, path)}`,
    content: checkContent(`${name}[${JSON.stringify(path)}]`, content),
    mode,
  }));
}

/** No file can be the folder of another. */
function checkFolders(files: readonly PassedFile[]): void {
  for (const { path } of files) {
    const within = files.find((file) => file.path.startsWith(`${path}/`));
    if (within === undefined) continue;
    throw invalid('files', `no file within another file (${path})`, within.path);
  }
}

/** Relative, without `..`, of letters, digits, `.`, `-` and `_`. */
function checkPath(name: string, path: string): string {
  if (/^[\w.-]+(?:\/[\w.-]+)*$/.test(path) && !path.split('/').some((part) => /^\.+$/.test(part)))
    return path;
  throw invalid(name, 'relative paths of letters, digits, `.`, `-` and `_`', path);
}

function checkContent(name: string, content: unknown): string | Uint8Array {
  if (typeof content === 'string' || content instanceof Uint8Array) return content;
  throw invalid(name, 'a string or a Uint8Array', content);
}

/** Without NUL, which ends an argument. */
function expectText(name: string, value: unknown): string {
  const text = expectString(name, value);
  if (text.includes('\0')) throw invalid(name, 'a string without NUL', text);
  return text;
}
