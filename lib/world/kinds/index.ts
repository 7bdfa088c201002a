/** All kinds of tasks of the tiny world. */
import type { Kind } from '../types';
import { FORMAT_KINDS } from './formats';
import { LIST_KINDS } from './lists';
import { logic } from './logic';
import { NUMBER_KINDS } from './numbers';
import { QUESTION_KINDS } from './questions';

export const KINDS: readonly Kind[] = [
  ...NUMBER_KINDS,
  logic,
  ...QUESTION_KINDS,
  ...LIST_KINDS,
  ...FORMAT_KINDS,
];

export const KIND_NAMES: readonly string[] = KINDS.map(({ name }) => name);
