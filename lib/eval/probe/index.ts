/** The probe: how good a model is on fixed held-out prompts, and how sure a difference is. */
export { pairedDifference, type PairedDifference } from './paired-difference';
export { mathematicsHeldOut, mathematicsProbe } from './mathematics';
export { codingProbe, probeQueries, type ProbedTask } from './queries';
export { runProbe, type ProbeGroup, type ProbeOptions, type ProbeResult } from './probe';
export { probePrompts, type ProbePrompt } from './prompts';
