'use strict';
/**
 * Builds the addon with cmake-js into build/Release/lsp.node: incremental, at most two jobs, one line when it works
 * and the compiler's whole output when it does not.
 *
 * CMake's own directory is build/Release and not build/, because node-gyp keeps its Makefile in build/ while
 * binding.gyp calls this script. MAKEFLAGS is dropped for the same reason: that make's job server is not ours.
 *
 * Environment: LSP_BUILD_JOBS (default 2), LSP_WERROR=1 (warnings are errors), LSP_BUILD_VERBOSE=1 (show the output).
 */
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const outDirectory = path.join(root, 'build', 'Release');
const addonPath = path.join(outDirectory, 'lsp.node');

/** A cache made elsewhere (a moved or copied clone) makes CMake fail: start afresh. */
function dropForeignCache() {
  const cachePath = path.join(outDirectory, 'CMakeCache.txt');
  if (!fs.existsSync(cachePath)) return;
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(fs.readFileSync(cachePath, 'utf8'));
  if (!home || path.resolve(home[1]) !== root) fs.rmSync(outDirectory, { recursive: true, force: true });
}

function cmakeJs(command, jobs, stdio) {
  const environment = { ...process.env };
  delete environment.MAKEFLAGS;
  delete environment.MFLAGS;
  delete environment.MAKELEVEL;
  const cmakeJsProgram = require.resolve('cmake-js/bin/cmake-js', { paths: [root] });
  const werror = process.env.LSP_WERROR === '1' ? 'ON' : 'OFF';
  const parameters = [
    '--directory',
    root,
    '--out',
    outDirectory,
    '--parallel',
    jobs,
    `--CDLSP_WERROR=${werror}`,
  ];
  return spawnSync(process.execPath, [cmakeJsProgram, command, ...parameters], {
    cwd: root,
    env: environment,
    stdio,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
}

/** @returns {{ok: true, addonPath: string, seconds: number} | {ok: false, output: string}} */
function buildNative() {
  const jobs = process.env.LSP_BUILD_JOBS || '2';
  const stdio = process.env.LSP_BUILD_VERBOSE === '1' ? 'inherit' : 'pipe';
  const start = process.hrtime.bigint();
  dropForeignCache();
  let output = '';
  // Configuring each time costs a moment and lets changed options through; the build itself is incremental.
  for (const command of ['configure', 'build']) {
    const result = cmakeJs(command, jobs, stdio);
    output += `${result.stdout ?? ''}${result.stderr ?? ''}`;
    if (result.error) return { ok: false, output: `${output}\n${result.error.message}` };
    if (result.status !== 0) return { ok: false, output };
  }
  if (!fs.existsSync(addonPath))
    return { ok: false, output: `${output}\nThe build ended without ${addonPath}.` };
  return { ok: true, addonPath, seconds: Number((process.hrtime.bigint() - start) / 1_000_000n) / 1000 };
}

/** Builds and reports; returns the exit status. */
function main() {
  const result = buildNative();
  if (!result.ok) {
    process.stderr.write(`${result.output}\n`);
    process.stderr.write('lsp: the native addon could not be built; the output above says why.\n');
    return 1;
  }
  const shown = path.relative(root, result.addonPath);
  process.stdout.write(`lsp: native addon ready (${shown}, ${result.seconds.toFixed(1)} s)\n`);
  return 0;
}

module.exports = { buildNative, root };

if (require.main === module) process.exitCode = main();
