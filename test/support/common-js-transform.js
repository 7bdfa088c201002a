'use strict';
/**
 * Compiles a file to CommonJS, `import()` included: jest cannot import ES modules in Node.js 20, so hyparquet and its one
 * importer go through this. (ts-jest could do it, but all its entries in one jest configuration share one tsconfig.)
 */
const ts = require('typescript');

const compilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.CommonJS,
  esModuleInterop: true,
  allowJs: true,
  inlineSourceMap: true,
  inlineSources: true,
};

module.exports = {
  process: (source, fileName) => ({
    code: ts.transpileModule(source, { fileName, compilerOptions }).outputText,
  }),
};
