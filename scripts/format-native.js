'use strict';
/**
 * Formats the C++ sources with clang-format; `--check` only reports. Version 14 is the reference (.clang-format):
 * other versions break lines differently, so they may not rewrite the tree. LSP_CLANG_FORMAT names the program.
 */
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const referenceVersion = '14';
const root = path.resolve(__dirname, '..');

/** The first clang-format of the reference version, or null. */
function findProgram() {
  const candidates = [process.env.LSP_CLANG_FORMAT, 'clang-format-14', 'clang-format'].filter(Boolean);
  return candidates.find((name) => {
    const { stdout } = spawnSync(name, ['--version'], { encoding: 'utf8' });
    return new RegExp(`version ${referenceVersion}\\.`).test(stdout ?? '');
  });
}

function sources() {
  const native = path.join(root, 'native');
  return fs
    .readdirSync(native, { recursive: true })
    .filter((name) => /\.(cpp|h)$/.test(name))
    .map((name) => path.join('native', name))
    .sort();
}

function main(check) {
  const program = findProgram();
  if (!program) {
    process.stderr.write(
      `Expected clang-format ${referenceVersion} but found none. Install it (Debian: apt-get install ` +
        'clang-format-14; elsewhere: pip install clang-format==14.0.6) or name it in LSP_CLANG_FORMAT.\n',
    );
    return 1;
  }
  const files = sources();
  if (files.length === 0) return 0;
  const mode = check ? ['--dry-run', '--Werror'] : ['-i'];
  const result = spawnSync(program, [...mode, ...files], { cwd: root, stdio: 'inherit' });
  return result.status ?? 1;
}

process.exitCode = main(process.argv.includes('--check'));
