/** The sandbox, where this machine has one; tests that need it skip without, and say so. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Sandbox, type SandboxOptions } from '../../lib/sandbox';

/** Why there can be none; null if bubblewrap runs. Sandbox.open says it better, but is asynchronous. */
function obstacle(): string | null {
  if (!existsSync('/usr/bin/python3')) return 'no /usr/bin/python3';
  const arguments_ = ['--unshare-all', '--ro-bind', '/usr', '/usr', '--', '/usr/bin/true'];
  const folders = ['/bin', '/lib', '/lib64'].flatMap((folder) => ['--ro-bind-try', folder, folder]);
  const { status, error, stderr } = spawnSync('bwrap', [...folders, ...arguments_], { encoding: 'utf8' });
  return status === 0 ? null : (error?.message ?? stderr.trim());
}

const found = obstacle();
if (found !== null) {
  process.stderr.write(`No sandbox on this machine (${found}): tests on it are skipped.\n`);
}

/** `describe`, or `describe.skip` without a sandbox. */
export const describeWithSandbox = found === null ? describe : describe.skip;

const opened = new Map<string, Promise<Sandbox>>();

/** A sandbox, opened once for equal options. */
export function openSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const key = JSON.stringify(options);
  const sandbox = opened.get(key) ?? Sandbox.open(options);
  opened.set(key, sandbox);
  return sandbox;
}
