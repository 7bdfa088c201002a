'use strict';
/**
 * Runs when the package is installed: takes the prebuilt addon for this platform (prebuilds/, in the convention of
 * node-gyp-build) if there is one that loads, and compiles it otherwise.
 *
 * npm would run `node-gyp rebuild` by itself for a package with a binding.gyp and no install script: this is that
 * script. LSP_BUILD_FROM_SOURCE=1 or npm's --build-from-source compiles even where a prebuilt binary fits.
 */
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { buildNative, root } = require('./build-native');
const { isLinkedByNpx } = require('./prepare');

function prebuiltPath() {
  process.env.PREBUILDS_ONLY = '1'; // read by node-gyp-build when it is loaded: an old local build must not count
  try {
    return require('node-gyp-build').resolve(root);
  } catch {
    return null;
  } finally {
    delete process.env.PREBUILDS_ONLY;
  }
}

/** Loads in a child process, so that a binary for another libc cannot bring the installation down. */
function loads(addonPath) {
  const result = spawnSync(process.execPath, ['-e', 'require(process.argv[1])', addonPath], {
    stdio: 'ignore',
  });
  return result.status === 0;
}

function missingTools() {
  const found = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
  const missing = [];
  if (!found('cmake')) missing.push('cmake');
  if (![process.env.CXX, 'c++', 'g++', 'clang++'].some((name) => name && found(name)))
    missing.push('a C++ compiler');
  if (!found('ninja') && !found('make')) missing.push('ninja or make');
  return missing;
}

function failureText(output) {
  const missing = missingTools();
  const machine = `${process.platform}-${process.arch}, Node.js ${process.version}`;
  return [
    ...(missing.length > 0 ? [] : [output, '']),
    'lsp: Expected a prebuilt native addon or a build that works but received neither.',
    missing.length > 0
      ? `  Not found on this machine (${machine}): ${missing.join(', ')}.`
      : `  The output above says why the build failed (${machine}).`,
    '',
    'Possible solutions:',
    '- Install CMake 3.22 or newer, ninja or make, and a C++20 compiler (g++ 12, clang 14, or newer):',
    '    Debian, Ubuntu: sudo apt-get install cmake ninja-build g++',
    '    Fedora:         sudo dnf install cmake ninja-build gcc-c++',
    '    macOS:          xcode-select --install && brew install cmake ninja',
    '- Another compiler than the default: CXX=g++-12 npm install',
    '- A build left half done: remove the folder build/ and run npm install again.',
    '- The output of the build as it goes: LSP_BUILD_VERBOSE=1 npm run build:native',
    '',
  ].join('\n');
}

function main() {
  const asked =
    process.env.LSP_BUILD_FROM_SOURCE === '1' || process.env.npm_config_build_from_source === 'true';
  // A clone is compiled: what `npm pack` left in prebuilds/ there may be older than the sources.
  const isClone = fs.existsSync(path.join(root, 'tsconfig.build.json'));
  const prebuilt = asked || isClone ? null : prebuiltPath();
  if (prebuilt && loads(prebuilt)) {
    process.stdout.write('lsp: prebuilt native addon found\n');
    return 0;
  }
  const result = buildNative();
  if (!result.ok) {
    process.stderr.write(failureText(result.output));
    return 1;
  }
  process.stdout.write(`lsp: native addon ready (${result.seconds.toFixed(1)} s)\n`);
  return 0;
}

process.exitCode = isLinkedByNpx() ? 0 : main();
