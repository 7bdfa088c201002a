'use strict';
/**
 * One worker: the engine under test computes with threads of its own and is timed against the same cores.
 * Types are checked by `npm run typecheck`, so tests are only transpiled (isolatedModules in tsconfig.json).
 * hyparquet is an ES module and needs a transform of its own (see there).
 */

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: {
    '/lib/hub/parquet\\.ts$|/node_modules/hyparquet/.+\\.js$':
      '<rootDir>/test/support/common-js-transform.js',
    '^.+\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/tsconfig.json' }],
  },
  transformIgnorePatterns: ['/node_modules/(?!hyparquet/)'],
  moduleNameMapper: { '^lsp$': '<rootDir>/lib/index.ts' },
  maxWorkers: 1,
  testTimeout: 120_000,
  restoreMocks: true,
};
