/**
 * Verdicts on a response to a row of the IFEval file (Zhou et al., 2023, arXiv 2311.07911), strict and loose, as the
 * published evaluation counts them.
 */
import { LspError } from '../../errors';
import { describe as show, expectArray, expectString, invalid, isRecord } from '../../options';
import { constraintFromIfeval } from './ifeval';
import { satisfies } from './kinds';
import { strip } from './text';
import type { Constraint } from './types';

/** What is read of a row of the IFEval file. */
export interface IfevalItem {
  instruction_id_list: readonly string[];
  /** The parameters of each instruction, in the file's names. */
  kwargs: readonly Readonly<Record<string, unknown>>[];
}

/** One verdict per instruction of the row, in its order. */
export interface InstructionVerdicts {
  strict: boolean[];
  loose: boolean[];
}

/**
 * Checks a response against every instruction of a row of the IFEval file.
 *
 * Strict: the response as it is. Loose: any of eight readings of it, which are the response, without its first line,
 * without its last, without both, and each of these without asterisks. An empty reading satisfies nothing.
 * All 25 kinds are checked. Where IFEval asks a trained model, for the language and for sentences, its verdicts are
 * approached only; docs/evaluations.md has the measured agreement.
 *
 * @throws LspError INVALID_ARGUMENT for a row of another shape, and for an instruction that is none of IFEval's
 */
export function checkInstructions(item: IfevalItem, response: string): InstructionVerdicts {
  const constraints = constraintsOf(item);
  const readings = readingsOf(expectString('response', response));
  return {
    strict: constraints.map((constraint) => satisfies(constraint, response)),
    loose: constraints.map((constraint) => readings.some((reading) => satisfies(constraint, reading))),
  };
}

function constraintsOf(item: IfevalItem): Constraint[] {
  if (!isRecord(item)) throw invalid('item', 'a row of the IFEval file', item);
  const ids = expectArray('item.instruction_id_list', item.instruction_id_list);
  const kwargs = expectArray('item.kwargs', item.kwargs);
  if (kwargs.length !== ids.length) {
    throw invalid('item.kwargs', `${ids.length} objects, one per instruction`, item.kwargs);
  }
  return ids.map((id, index) => {
    const parameters = kwargs[index];
    if (!isRecord(parameters)) throw invalid(`item.kwargs[${index}]`, 'an object', parameters);
    const constraint = constraintFromIfeval(
      expectString(`item.instruction_id_list[${index}]`, id),
      parameters,
    );
    if (constraint) return constraint;
    throw new LspError(
      'INVALID_ARGUMENT',
      `Expected the id of an IFEval instruction for \`item.instruction_id_list[${index}]\` but received ${show(id)}.`,
      { remedy: '`IFEVAL_IDS` has all 25; leave other rows out.' },
    );
  });
}

/** The response, without first, last and both lines (stripped); then the same without asterisks. */
function readingsOf(response: string): string[] {
  const lines = response.split('\n');
  const cut = [lines.slice(1), lines.slice(0, -1), lines.slice(1, -1)].map((kept) => strip(kept.join('\n')));
  const readings = [response, ...cut];
  return [...readings, ...readings.map((reading) => reading.replaceAll('*', ''))];
}
