/**
 * The command line of bubblewrap for one program: which namespaces it gets, what it sees, what limits it has.
 *
 * What it sees is a list of what is there, on an empty root: /usr (read-only), /dev/null, an empty work folder in memory,
 * and the files that it was given. There is no /proc, no /sys, no /etc, no /home, no /run. Nothing is written to
 * the host's disk, so nothing is left there, however a run ends: work folder and files go with the namespace.
 */
import { lstatSync, readlinkSync } from 'node:fs';
import type { SandboxLimits } from './types';

export const WORK_FOLDER = '/box';
export const PROGRAM_FOLDER = '/program';

/** Seen inside as user and group; on the host it is the caller, or `UNPRIVILEGED` where the caller is root. */
const INSIDE_ID = 1000;

const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/bin:/bin',
  HOME: WORK_FOLDER,
  TMPDIR: WORK_FOLDER,
  LANG: 'C.UTF-8',
  // The order of sets is that of the last run: rewards must not depend on chance.
  PYTHONHASHSEED: '0',
};

/** Open files of a process: enough for a program, too few to fill memory with buffers of pipes. */
const MAX_OPEN_FILES = 64;

const MAX_PENDING_SIGNALS = 256;

/** What opens the gate. */
export const GATE_OPENS = 'go\n';

/**
 * Runs before the program: says that it is there, and goes on when it is told to; without a word it ends, as it does when
 * the process that asked for the program was killed. The shells of some systems add variables to the environment.
 */
const gateOf = (descriptor: number): string[] => [
  '/bin/sh',
  '-c',
  `echo ready >&${descriptor} && read -r go <&${descriptor} && ` +
    `exec /usr/bin/env -u OLDPWD -u SHLVL -u _ "$@" ${descriptor}>&-`,
  'gate',
];

/** A file put into the sandbox: bubblewrap reads it from a descriptor. */
export interface PassedFile {
  path: string;
  content: string | Uint8Array;
  mode: string;
}

export interface Descriptors {
  status: number;
  seccomp: number;
  /** At which the program waits, see `GATE`; one digit, since not every sh can read others. */
  gate: number;
  /** Of the first file; the others follow. */
  files: number;
}

export interface Confinement {
  limits: SandboxLimits;
  files: readonly PassedFile[];
  /** Folders of the host that can be read, besides /usr. */
  readOnly: readonly string[];
  descriptors: Descriptors;
}

/** Arguments of `bwrap` that run `command`. */
export function bubblewrapArguments(command: readonly string[], confinement: Confinement): string[] {
  const { limits, files, readOnly, descriptors } = confinement;
  return [
    ...['--unshare-user', '--unshare-all', '--die-with-parent', '--new-session', '--cap-drop', 'ALL'],
    ...['--uid', String(INSIDE_ID), '--gid', String(INSIDE_ID), '--hostname', 'sandbox', '--clearenv'],
    ...Object.entries(ENVIRONMENT).flatMap(([name, value]) => ['--setenv', name, value]),
    ...['--ro-bind', '/usr', '/usr', '--ro-bind-try', '/etc/ld.so.cache', '/etc/ld.so.cache'],
    ...systemFolders(),
    ...readOnly.flatMap((folder) => ['--ro-bind', folder, folder]),
    ...['--dev-bind', '/dev/null', '/dev/null'],
    ...['--size', String(limits.maxFileBytes), '--tmpfs', WORK_FOLDER],
    ...files.flatMap(({ path, mode }, i) => ['--perms', mode, '--file', String(descriptors.files + i), path]),
    ...['--remount-ro', '/', '--chdir', WORK_FOLDER],
    ...['--seccomp', String(descriptors.seccomp), '--json-status-fd', String(descriptors.status)],
    ...['--', ...gateOf(descriptors.gate), '/usr/bin/prlimit', ...resourceLimits(limits), '--', ...command],
  ];
}

/** /bin, /lib and the like: links into /usr on a merged system, folders of their own on others. */
function systemFolders(): string[] {
  return ['/bin', '/sbin', '/lib', '/lib32', '/lib64'].flatMap((folder) => {
    const status = lstatSync(folder, { throwIfNoEntry: false });
    if (status?.isSymbolicLink()) return ['--symlink', readlinkSync(folder), folder];
    return status?.isDirectory() ? ['--ro-bind', folder, folder] : [];
  });
}

/** Hard limits, set inside, where a program without capabilities cannot raise them. */
function resourceLimits(limits: SandboxLimits): string[] {
  const cpuSeconds = Math.ceil(limits.timeoutMs / 1000) + 1;
  const values: Record<string, number | string> = {
    as: limits.memoryBytes,
    nproc: limits.maxProcesses,
    fsize: limits.maxFileBytes,
    // A second line behind the clock, should this process be too busy to look at it.
    cpu: `${cpuSeconds}:${cpuSeconds + 1}`,
    nofile: MAX_OPEN_FILES,
    core: 0,
    // These are counted for all programs of a user together: one must not use up what the others need.
    sigpending: MAX_PENDING_SIGNALS,
    memlock: 0,
    msgqueue: 0,
  };
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}
