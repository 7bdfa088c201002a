/** The one error of a sandbox that cannot be had, with what to do about it. */
import { LspError } from '../errors';

/** The remedy of errors that know of no better one. */
export const SEE = 'See docs/sandbox.md.';

const INSTALL =
  'Code that a model wrote runs only in a sandbox. Install bubblewrap 0.7 or newer and Python 3 (Debian, Ubuntu: ' +
  'apt-get install bubblewrap python3), and see docs/sandbox.md.';

/** What the kernel says where it does not let bubblewrap make namespaces. */
const NO_NAMESPACES = /permission denied|not permitted|no permissions|no space left|EPERM/i;

const ALLOW_NAMESPACES =
  'This machine does not let bubblewrap make namespaces. In a container: run it with --security-opt seccomp=unconfined ' +
  '(and apparmor=unconfined), or run outside of it; on a host: allow user namespaces for bubblewrap (sysctl ' +
  'kernel.unprivileged_userns_clone, or an AppArmor profile). See docs/sandbox.md.';

/** What prlimit says inside where this process may itself not have what a program gets. */
const LOW_LIMIT = /prlimit: failed to set the (\w+)/;

const RAISE_LIMITS =
  'A hard limit of this process is lower than that of the sandbox: raise it (`ulimit -H -a` shows them; `ulimit -n` has to ' +
  'be 64 or more, `ulimit -i` 256 or more). See docs/sandbox.md.';

const OTHER_MACHINE =
  'Code that a model wrote runs only in a sandbox, which needs Linux on x64 or arm64: use such a machine, or a virtual one.';

/** For a system or a processor on which there is none. */
export function unsupported(received: string): LspError {
  return new LspError(
    'SANDBOX_UNAVAILABLE',
    `Expected Linux on x64 or arm64 for a sandbox but received ${received}.`,
    { remedy: OTHER_MACHINE },
  );
}

/** @param received what there is instead of a sandbox */
export function unavailable(received: string, cause?: unknown): LspError {
  return new LspError(
    'SANDBOX_UNAVAILABLE',
    `Expected a sandbox for untrusted code but received ${received}.`,
    { cause, remedy: remedyFor(received, cause) },
  );
}

function remedyFor(received: string, cause: unknown): string {
  if (LOW_LIMIT.test(received)) return RAISE_LIMITS;
  if (cause instanceof LspError && cause.remedy !== undefined && cause.remedy !== SEE) return cause.remedy;
  return NO_NAMESPACES.test(received) ? ALLOW_NAMESPACES : INSTALL;
}
