/** node-gyp-build ships no types; this is the part that lib/native/load.ts uses. */
declare module 'node-gyp-build' {
  /** Loads the addon of the package in `directory`; throws if there is none for this platform. */
  function nodeGypBuild(directory: string): unknown;
  export = nodeGypBuild;
}
