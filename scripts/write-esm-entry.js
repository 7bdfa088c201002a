'use strict';
/**
 * Writes dist/index.mjs and dist/index.d.mts after the TypeScript build.
 *
 * The package is built once, as CommonJS; `import` gets a thin module that re-exports the same objects by name. Two
 * full builds would give two copies of every class, and `error instanceof LspError` would depend on how each side
 * loaded the package. The names are read from the build, so the list cannot fall behind.
 */
const fs = require('node:fs');
const path = require('node:path');

const distDirectory = path.resolve(__dirname, '..', 'dist');
const names = Object.keys(require(path.join(distDirectory, 'index.js')))
  .filter((name) => name !== 'default' && name !== '__esModule')
  .sort();
if (names.length === 0)
  throw new Error('Expected dist/index.js to export at least one name but received none.');

const note =
  '// Written by scripts/write-esm-entry.js: one instance of everything, whether imported or required.';
const values = names.map((name) => `export const ${name} = commonJsBuild.${name};`).join('\n');
fs.writeFileSync(
  path.join(distDirectory, 'index.mjs'),
  `${note}\nimport commonJsBuild from './index.js';\n\n${values}\n`,
);
fs.writeFileSync(path.join(distDirectory, 'index.d.mts'), `${note}\nexport * from './index.js';\n`);
