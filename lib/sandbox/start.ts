/** Starts bubblewrap, and says what hinders it: everything here is the machine's or the caller's, never the program's. */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { LspError } from '../errors';
import { SEE } from './unavailable';

/**
 * Root runs programs as this user and group, which owns nothing: the limit of processes does not hold for root's, and
 * a way out of the sandbox should lead to as little as possible.
 */
export const UNPRIVILEGED = 65_534;

export interface Started {
  child: ChildProcess;
  /** By descriptor; empty where it was not started, which `ended` tells. */
  streams: readonly (Readable & Writable)[];
  /** Settles when it has ended and all its output was read. */
  ended: Promise<void>;
}

/** @param descriptors how many it gets, all of them pipes. @throws LspError INVALID_ARGUMENT, SANDBOX_UNAVAILABLE */
export function start(path: string, options: readonly string[], descriptors: number): Started {
  const root = process.getuid?.() === 0;
  let child: ChildProcess;
  try {
    child = spawn(path, options, {
      cwd: '/',
      env: {},
      stdio: Array.from({ length: descriptors }, () => 'pipe' as const),
      ...(root && { uid: UNPRIVILEGED, gid: UNPRIVILEGED }),
    });
  } catch (error) {
    throw hindrance(error as NodeJS.ErrnoException, root);
  }
  // At once: without a listener, a failure ends this process.
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', (error) => reject(hindrance(error, root)));
    child.once('close', () => resolve());
  });
  // Undefined where there were no descriptors left to make pipes of.
  const stdio = child.stdio as ChildProcess['stdio'] | undefined;
  return { child, streams: [...(stdio ?? [])] as unknown as (Readable & Writable)[], ended };
}

/** @param reason completes "received:" */
export function failure(reason: string, remedy = SEE): LspError {
  return new LspError(
    'SANDBOX_UNAVAILABLE',
    `Expected bubblewrap to run a program but received: ${reason.slice(0, 500)}.`,
    { remedy },
  );
}

function hindrance(error: NodeJS.ErrnoException, root: boolean): LspError {
  if (error.code === 'E2BIG') {
    return new LspError(
      'INVALID_ARGUMENT',
      'Expected a shorter `command` but received one of too many bytes.',
      {
        cause: error,
        remedy: 'Pass what is long in `files` or `stdin`.',
      },
    );
  }
  return failure(error.message, remedyOf(error.code, root));
}

function remedyOf(code: string | undefined, root: boolean): string {
  if (code === 'EMFILE' || code === 'ENFILE') {
    return 'This process has as many files open as it may: close some, raise `ulimit -n`, or lower `concurrency`.';
  }
  if (root && (code === 'EINVAL' || code === 'EPERM')) {
    return (
      `Root runs programs as user and group ${UNPRIVILEGED}, which do not exist in this container, or which it may not ` +
      'become: map them (/etc/subuid, /etc/subgid), or run as an ordinary user.'
    );
  }
  return SEE;
}
