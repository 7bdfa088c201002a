/** Verifiable instructions: see types.ts for what they are, kinds.ts for the table. */
export { areCompatible, areFeasible, wordsWithin } from './compatibility';
export { checkInstructions, type IfevalItem, type InstructionVerdicts } from './check';
export { DEFAULT_VOCABULARY, drawConstraints, type DrawConstraintsOptions } from './draw';
export { constraintFromIfeval, IFEVAL_IDS } from './ifeval';
export {
  describe,
  formatConstraint,
  INSTRUCTION_IDS,
  INSTRUCTION_KINDS,
  parseConstraint,
  satisfies,
} from './kinds';
export type {
  Constraint,
  ConstraintOf,
  ConstraintParameters,
  InstructionId,
  InstructionKind,
  Random,
  Relation,
} from './types';
