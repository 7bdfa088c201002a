/**
 * One worker: the engine under test computes with threads of its own and is timed against the same cores.
 * Types are checked by `npm run typecheck`, so tests are only transpiled (isolatedModules in tsconfig.json).
 * jest's module system is CommonJS: packages that are ES modules, and who imports one of them dynamically, need a
 * transform of their own (see there).
 */
const ES_MODULES = [
  'collapse-white-space',
  'franc',
  'hyparquet',
  'is-network-error',
  'n-gram',
  'p-limit',
  'p-retry',
  'trigram-utils',
  'yocto-queue',
];
const modules = `(?:${ES_MODULES.join('|')})/`;

/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: {
    [`/lib/hub/parquet\\.ts$|/node_modules/${modules}.+\\.js$`]:
      '<rootDir>/test/support/common-js-transform.js',
    '^.+\\.ts$': ['ts-jest', { tsconfig: '<rootDir>/tsconfig.json' }],
  },
  transformIgnorePatterns: [`/node_modules/(?!${modules})`],
  moduleNameMapper: { '^lsp$': '<rootDir>/lib/index.ts' },
  maxWorkers: 1,
  testTimeout: 120_000,
  restoreMocks: true,
};
