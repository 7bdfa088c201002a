'use strict';
/**
 * npm's `prepare`: builds dist/ after `npm install` in a clone.
 *
 * `npx lsp` in a clone makes npm link the clone into its npx cache and run `install` and `prepare` once more. Nothing
 * is left to build then, and a failure there (development dependencies omitted, nothing installed yet) would fail the
 * command and leave npm's cache in a state that fails every later one too: so both scripts do nothing in that case.
 */
const { spawnSync } = require('node:child_process');
const path = require('node:path');

const root = path.resolve(__dirname, '..');

/** True if npm runs us only to link a clone for `npx`; a package unpacked into node_modules is a real installation. */
function isLinkedByNpx() {
  return process.env.npm_command === 'exec' && !root.split(path.sep).includes('node_modules');
}

module.exports = { isLinkedByNpx };

if (require.main === module && !isLinkedByNpx()) {
  const result = spawnSync('npm', ['run', '--silent', 'build:ts'], { cwd: root, stdio: 'inherit' });
  process.exitCode = result.status ?? 1;
}
