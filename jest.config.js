'use strict';
/**
 * One worker: the engine under test computes with threads of its own and is timed against the same cores.
 * Types are checked by `npm run typecheck`, so tests are only transpiled (isolatedModules in tsconfig.json).
 */

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: { '^.+\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/tsconfig.json' }] },
  moduleNameMapper: { '^lsp$': '<rootDir>/lib/index.ts' },
  maxWorkers: 1,
  testTimeout: 120_000,
  restoreMocks: true,
};
