'use strict';
/**
 * One worker: the engine under test computes with threads of its own and is timed against the same cores.
 * Types are checked by `npm run typecheck`, so tests are only transpiled (isolatedModules in tsconfig.json).
 * jest's module system is CommonJS: packages that are ES modules, which Node itself would require, are transpiled too.
 */
const ES_MODULES = ['franc', 'trigram-utils', 'n-gram', 'collapse-white-space'];
const modules = `node_modules/(?:${ES_MODULES.join('|')})/`;

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: {
    '^.+\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/tsconfig.json' }],
    [`${modules}.+\\.js$`]: [
      'ts-jest',
      { tsconfig: { allowJs: true, module: 'CommonJS', isolatedModules: true }, diagnostics: false },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(?:${ES_MODULES.join('|')})/)`],
  moduleNameMapper: { '^lsp$': '<rootDir>/lib/index.ts' },
  maxWorkers: 1,
  testTimeout: 120_000,
  restoreMocks: true,
};
