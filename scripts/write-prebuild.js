'use strict';
/**
 * Copies the local build to prebuilds/<platform>-<arch>/, where node-gyp-build finds it in an installed package: a
 * consumer then needs no compiler, and no install script. Runs before `npm pack`; a package for several platforms
 * collects this folder from a machine of each.
 */
const fs = require('node:fs');
const path = require('node:path');

const root = path.resolve(__dirname, '..');
const isMusl = process.platform === 'linux' && fs.existsSync('/etc/alpine-release');
const libc = process.platform === 'linux' ? `.${isMusl ? 'musl' : 'glibc'}` : '';
const directory = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
const target = path.join(directory, `lsp.napi${libc}.node`);

fs.mkdirSync(directory, { recursive: true });
fs.copyFileSync(path.join(root, 'build', 'Release', 'lsp.node'), target);
process.stdout.write(`lsp: ${path.relative(root, target)}\n`);
