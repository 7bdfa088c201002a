#!/usr/bin/env node
'use strict';
/**
 * The `lsp` command: hands over to dist/cli/main.js.
 *
 * A file of its own, because dist/ is missing from a fresh clone: npm links commands only to files that exist, and
 * `npx` in a clone remembers what it linked, so one call before the first build would fail ever after.
 */
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const main = join(__dirname, '..', 'dist', 'cli', 'main.js');
if (existsSync(main)) {
  require(main);
} else {
  process.stderr.write(
    `Expected the built command in ${main} but received nothing. Run \`npm install\` first.\n`,
  );
  process.exitCode = 1;
}
