/**
 * The first process of a sandbox, seen from this machine: which one it is, whether it still runs, and whether it is
 * confined. Read from /proc, see proc(5).
 */
import { readFileSync, readlinkSync } from 'node:fs';

/** A process for good: ids are used again, but not with the same start. */
export interface ProcessIdentity {
  pid: number;
  /** Null for one that had ended before it could be looked at. */
  startTime: string | null;
}

const NAMESPACES = ['net', 'ipc', 'uts', 'mnt', 'user', 'pid'] as const;

/** That process only if it is in its namespace: should we be late, somebody else may have its id by now. */
export function identify(pid: number, namespace: string): ProcessIdentity {
  const startTime = statusOf(pid)?.startTime ?? null;
  const own = namespaceOf(pid, 'pid') === `pid:[${namespace}]`;
  return { pid, startTime: own ? startTime : null };
}

/** Not when it has ended and only waits for its parent to take notice: whoever that is, it may never do. */
export function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  const status = statusOf(pid);
  return status !== null && status.startTime === startTime && !/[ZX]/.test(status.state);
}

/** Namespaces of a process that are not others than this one's, or cannot be seen. */
export function sharedNamespaces(pid: number): string[] {
  return NAMESPACES.filter((name) => {
    const theirs = namespaceOf(pid, name);
    return theirs === null || theirs === namespaceOf('self', name);
  });
}

/** Whether a process has taken on filters of system calls that this one does not have. */
export function isFiltered(pid: number): boolean {
  const [theirs, ours] = [filtersOf(pid), filtersOf('self')];
  return theirs > ours;
}

/** Kernels before 5.9 tell only whether there is a filter (2). */
function filtersOf(pid: number | 'self'): number {
  const status = readOrNull(() => readFileSync(`/proc/${pid}/status`, 'latin1')) ?? '';
  const count = /^Seccomp_filters:\s*(\d+)/m.exec(status)?.[1];
  if (count !== undefined) return Number(count);
  return pid !== 'self' && /^Seccomp:\s*2/m.test(status) ? 1 : 0;
}

function namespaceOf(pid: number | 'self', name: string): string | null {
  return readOrNull(() => readlinkSync(`/proc/${pid}/ns/${name}`));
}

/** Fields 3 and 22; field 2, the name in parentheses, may itself hold spaces. */
function statusOf(pid: number): { state: string; startTime: string } | null {
  const status = readOrNull(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  if (status === null) return null;
  const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0]!, startTime: fields[19]! };
}

/** Null where the process has ended. */
function readOrNull(read: () => string): string | null {
  try {
    return read();
  } catch {
    return null;
  }
}
