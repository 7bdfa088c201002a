/**
 * One process per run directory: a lock file that names its owner.
 *
 * The owner is a process id with its start time and the boot it belongs to (where /proc tells them), since ids are
 * reused: after a reboot, or in a fresh container, the id of a killed run may well be that of somebody else, or even
 * our own. A lock whose owner is gone (kill -9, power cut) is taken over.
 */
import { readFileSync } from 'node:fs';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { LspError } from '../errors';
import { systemCode, withIoErrors } from './files';

export const LOCK_FILE = 'run.lock';

interface Owner {
  pid: number;
  host: string;
  /** Start of the process and boot it belongs to; null where the system does not tell. */
  started: string | null;
}

export interface Lock {
  /** Idempotent: a second call must not remove the lock of whoever came next. */
  release(): Promise<void>;
}

/**
 * Takes the lock of a run directory.
 *
 * @throws LspError INVALID_ARGUMENT if a living process holds it
 */
export async function acquireLock(directory: string): Promise<Lock> {
  const path = join(directory, LOCK_FILE);
  const mine = JSON.stringify(describeProcess(process.pid));
  const temporary = join(directory, `.${LOCK_FILE}.${process.pid}.tmp`);
  await withIoErrors('lock', directory, async () => {
    try {
      await writeFile(temporary, `${mine}\n`);
      // A link is made complete or not at all, unlike a file that is created and then written.
      while (!(await linkIfAbsent(temporary, path))) await removeStale(path, directory);
    } finally {
      await rm(temporary, { force: true });
    }
  });
  let held = true;
  return {
    async release() {
      if (!held) return;
      held = false;
      await withIoErrors('unlock', directory, () => rm(path, { force: true }));
    },
  };
}

async function linkIfAbsent(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function removeStale(path: string, directory: string): Promise<void> {
  const content = await readIfPresent(path);
  if (content === null) return;
  const owner = parseOwner(content);
  if (owner !== null && isAlive(owner)) throw lockedBy(owner, directory);
  // Moved aside before it is removed: if another process took the stale lock over in between, it is its lock that
  // was moved, and it goes back.
  const aside = `${path}.${process.pid}.stale`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return;
    throw error;
  }
  if ((await readFile(aside, 'utf8')) !== content) await linkIfAbsent(aside, path);
  await rm(aside, { force: true });
}

async function readIfPresent(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw error;
  }
}

function lockedBy(owner: Owner, directory: string): LspError {
  const elsewhere = owner.host === hostname() ? '' : ` on ${owner.host}`;
  return new LspError(
    'INVALID_ARGUMENT',
    `Expected a run directory that no process uses but received \`${directory}\`, used by process ${owner.pid}${elsewhere}.`,
    {
      remedy: elsewhere
        ? `If that process is gone, remove ${join(directory, LOCK_FILE)}.`
        : 'Wait for it to end, or stop it.',
    },
  );
}

function parseOwner(content: string): Owner | null {
  try {
    const { pid, host, started } = JSON.parse(content) as Record<string, unknown>;
    if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid < 1 || typeof host !== 'string')
      return null;
    return { pid, host, started: typeof started === 'string' ? started : null };
  } catch {
    return null;
  }
}

function isAlive(owner: Owner): boolean {
  // A process of another machine (a shared disk) cannot be asked: believed to be alive.
  if (owner.host !== hostname()) return true;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (systemCode(error) === 'ESRCH') return false;
  }
  const { started } = describeProcess(owner.pid);
  return owner.started === null || started === null || owner.started === started;
}

function describeProcess(pid: number): Owner {
  return { pid, host: hostname(), started: startOf(pid) };
}

function startOf(pid: number): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    // proc(5): field 22 is the start time; field 2, the name in parentheses, may itself hold spaces.
    const status = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const start = status.slice(status.lastIndexOf(')') + 2).split(' ')[19];
    return start === undefined ? null : `${boot}:${start}`;
  } catch {
    return null;
  }
}
