/**
 * How much a running sandbox uses, read from /proc of the host.
 *
 * Limits of the kernel count per process; 32 processes of 512 MiB each would be 16 GiB. Control groups would count
 * them together, but where one may make them differs between every two machines, so they are counted here.
 *
 * A first look is quick, and counts pages that processes share for each of them. The exact count goes through all mappings,
 * which a program can make slow, so it is not waited for on the event loop.
 */
import { readdirSync, readFileSync, statfsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { WORK_FOLDER } from './bubblewrap';

export interface Usage {
  processes: readonly number[];
  /** Bytes of memory of the processes, shared pages for each, and of files in the work folder: never too few. */
  memoryBytes: number;
  /** Bytes of files in the work folder, of `memoryBytes`. */
  fileBytes: number;
  /** Files and folders in the work folder; null as long as there is none. */
  files: number | null;
}

/** An exact count that takes longer is a sign of many more mappings than honest programs have, even on a slow machine. */
const LONGEST_COUNT_MS = 500;

/** Type of a file system in memory, <linux/magic.h>. */
const TMPFS = 0x01021994;

/**
 * What the processes below `root` use together; null once there are none. `root` is the first process of its
 * namespace, and whatever loses its parent there becomes its child, so nothing can leave the tree.
 */
export function usageOf(root: number, maxFileBytes: number): Usage | null {
  const processes = descendants(root);
  if (processes.length === 0) return null;
  const files = filesOf(root, maxFileBytes);
  const fileBytes = files?.bytes ?? 0;
  const memoryBytes = fileBytes + sum(processes.map(residentBytes));
  return { processes, memoryBytes, fileBytes, files: files?.count ?? null };
}

/** `usage.memoryBytes` with shared pages counted once; null if that takes too long. */
export async function exactMemoryBytes({ processes, fileBytes }: Usage): Promise<number | null> {
  const deadline = performance.now() + LONGEST_COUNT_MS;
  let bytes = fileBytes;
  for (const process of processes) {
    bytes += await proportionalBytes(process);
    if (performance.now() > deadline) return null;
  }
  return bytes;
}

function descendants(root: number): number[] {
  const found = read(`/proc/${root}/stat`) === null ? [] : [root];
  for (const process of found) {
    for (const task of tasksOf(process)) {
      const children = read(`/proc/${process}/task/${task}/children`) ?? '';
      found.push(...(children.match(/\d+/g) ?? []).map(Number));
    }
  }
  return found;
}

function tasksOf(process: number): string[] {
  try {
    return readdirSync(`/proc/${process}/task`);
  } catch {
    return []; // ended meanwhile
  }
}

/** Anonymous and shared memory, in use or swapped out, and its page tables; pages that are shared count for each. */
function residentBytes(process: number): number {
  const names = ['RssAnon', 'RssShmem', 'VmSwap', 'VmPTE', 'HugetlbPages'];
  return kibibytes(read(`/proc/${process}/status`), names);
}

/** The same with shared pages divided among those that share them. Page tables are never shared. */
async function proportionalBytes(process: number): Promise<number> {
  const rollup = await readFile(`/proc/${process}/smaps_rollup`, 'latin1').catch(() => null);
  if (rollup === null || !rollup.includes('Pss_Anon')) return residentBytes(process);
  return (
    kibibytes(rollup, ['Pss_Anon', 'Pss_Shmem', 'SwapPss']) +
    kibibytes(read(`/proc/${process}/status`), ['VmPTE', 'HugetlbPages'])
  );
}

function kibibytes(text: string | null, names: readonly string[]): number {
  return sum(
    names.map((name) => 1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text ?? '')?.[1] ?? 0)),
  );
}

/**
 * Empty files cost memory, too, which no size of a file system limits. Until bubblewrap has changed its root, the same
 * path names a folder of this machine: only a file system in memory of the right size is the work folder.
 */
function filesOf(root: number, sizeBytes: number): { bytes: number; count: number } | null {
  try {
    const { type, bsize, blocks, bfree, files, ffree } = statfsSync(`/proc/${root}/root${WORK_FOLDER}`);
    if (type !== TMPFS || blocks !== Math.ceil(sizeBytes / bsize)) return null;
    return { bytes: (blocks - bfree) * bsize, count: files - ffree };
  } catch {
    return null; // not there yet, or ended meanwhile
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
