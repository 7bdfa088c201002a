/** Running code that nobody has read: see sandbox.ts. */
export { testSolution, type SolutionTests, type SolutionVerdict, type TestVerdict } from './judge';
export { inLanes } from './lanes';
export type { SandboxCheck } from './probe';
export { Sandbox, type SandboxOptions } from './sandbox';
export type { SandboxLimits, SandboxProgram, SandboxResult, SandboxStatus } from './types';
