/**
 * Finds and loads the compiled addon: a local build (build/Release/lsp.node) first, then a prebuilt binary for this
 * platform (prebuilds/), as node-gyp-build resolves them. Loaded once, at the first use, so that importing the
 * library (for its types, its losses, its errors) needs no binary.
 */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { types } from 'node:util';
import nodeGypBuild from 'node-gyp-build';
import { LspError } from '../errors';
import type { NativeAddon } from './addon';

let addon: NativeAddon | undefined;

/**
 * The native addon, the same object at every call.
 *
 * @throws LspError `NATIVE_LOAD_FAILED` if there is no binary for this platform or it does not load.
 */
export function loadAddon(): NativeAddon {
  addon ??= loadFrom(packageRoot(__dirname));
  return addon;
}

/**
 * Loads the addon of the package in `root`. Separate from `loadAddon` so that the failure can be tested.
 *
 * @throws LspError `NATIVE_LOAD_FAILED`
 */
export function loadFrom(root: string): NativeAddon {
  try {
    return nodeGypBuild(root) as NativeAddon;
  } catch (error) {
    throw new LspError(
      'NATIVE_LOAD_FAILED',
      `Expected a native addon for ${process.platform}-${process.arch} in \`${root}\` but received: ${reason(error)}.`,
      { remedy: possibleSolutions(), cause: error },
    );
  }
}

/** The nearest folder above that holds package.json: this file runs from dist/native and from lib/native. */
function packageRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) || folder === dirname(folder)) return folder;
  }
}

function reason(error: unknown): string {
  const text = types.isNativeError(error) ? error.message : String(error);
  return (text.split('\n')[0] ?? '').replace(/\.$/, '');
}

function possibleSolutions(): string {
  return [
    'Possible solutions:',
    '- In a clone: run `npm install`; it compiles the addon (CMake 3.22+, ninja or make, a C++20 compiler).',
    '- As a dependency: install without --ignore-scripts, or run `npm rebuild` in the project.',
    '- After changing the operating system, libc or processor architecture: remove build/ and install again.',
    `- Supported platforms: Linux and macOS on x64 and arm64, Node.js 20.19 or newer (this is ${process.version}).`,
  ].join('\n');
}
