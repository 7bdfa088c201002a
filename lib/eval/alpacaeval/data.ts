/**
 * The items of AlpacaEval and the answers that they are compared with, from files.
 *
 * An item's id is its subset and a digest of its instruction, so that a file in another order, or a part of it, has the
 * same ids, and earlier answers of a model can be found again by them.
 */
import { createHash } from 'node:crypto';
import { LspError } from '../../errors';
import { readRows, type Row } from '../../hub/rows';
import { expectString, invalid } from '../../options';
import { HUB_DATA, readData } from '../data';
import type { EvaluationItem } from '../evaluation';

/** An instruction with the answer that the candidate's is compared with. */
export interface AlpacaEvalItem extends EvaluationItem {
  /** Where the instruction is from: `koala`, `vicuna`, … */
  readonly subset: string;
  readonly instruction: string;
  readonly baseline: string;
  /** How hard the instruction is, for the length-controlled win rate; absent if nobody said. */
  readonly difficulty?: number;
}

export interface Baseline {
  readonly items: readonly AlpacaEvalItem[];
  /** Who wrote the baseline's answers: its `generator`, or 'unnamed'. */
  readonly generator: string;
}

/** Ids are cut to this many hexadecimal digits of SHA-256. */
const ID_DIGITS = 10;

/**
 * @param data rows with `instruction`, `dataset` and `output` (the answers of the published baseline); the hub's by default
 * @param baseline rows with `instruction` and `output` of another model, or its answers.jsonl in a folder of results
 * @param difficulties by instruction
 * @throws LspError INVALID_ARGUMENT (rows of another shape, repeated ones, missing answers), IO_ERROR
 */
export async function readItems(
  data: string | undefined,
  baseline: string | undefined,
  difficulties: ReadonlyMap<string, number> | undefined,
): Promise<Baseline> {
  const rows = await readData(data, HUB_DATA.alpacaeval);
  const source = data ?? 'the data';
  const others = baseline === undefined ? undefined : readAnswers(await readRows(baseline), baseline);
  const outputs = baseline === undefined ? readAnswers(rows, source) : others!;
  const seen = new Set<string>();
  const items = rows.map((row, index): AlpacaEvalItem => {
    const instruction = expectString(`data[${index}].instruction`, row.instruction, { allowEmpty: false });
    const subset = expectString(`data[${index}].dataset`, row.dataset, { allowEmpty: false });
    const id = `${subset}-${digest(instruction)}`;
    if (seen.has(id))
      throw invalid('data', 'rows with different instructions', instruction, `See row ${index}.`);
    seen.add(id);
    const answer = outputs.byInstruction.get(instruction) ?? outputs.byId.get(id);
    if (answer === undefined) {
      throw new LspError(
        'INVALID_ARGUMENT',
        `Expected an answer to every instruction in \`${baseline ?? source}\` but received none to ${id}.`,
        { remedy: 'Let the baseline answer all of the data, or give the rows that it answered as `data`.' },
      );
    }
    const difficulty = difficulties?.get(instruction);
    return {
      id,
      subset,
      instruction,
      baseline: answer,
      ...(difficulty !== undefined && { difficulty }),
    };
  });
  return { items, generator: outputs.generator };
}

interface Answers {
  byInstruction: Map<string, string>;
  byId: Map<string, string>;
  generator: string;
}

/** Rows of AlpacaEval ({ instruction, output, generator }), or of this library ({ id, answers: [{ text }] }). */
function readAnswers(rows: readonly Row[], path: string): Answers {
  const byInstruction = new Map<string, string>();
  const byId = new Map<string, string>();
  const generators = new Set<string>();
  rows.forEach((row, index) => {
    if (typeof row.instruction === 'string' && typeof row.output === 'string') {
      byInstruction.set(row.instruction, row.output);
      generators.add(typeof row.generator === 'string' ? row.generator : 'unnamed');
    } else {
      const [answer] = Array.isArray(row.answers) ? (row.answers as { text?: unknown }[]) : [];
      if (typeof row.id !== 'string' || typeof answer?.text !== 'string') {
        throw new LspError(
          'INVALID_ARGUMENT',
          `Expected \`instruction\` and \`output\`, or \`id\` and \`answers\`, in row ${index} of \`${path}\` but ` +
            `received ${Object.keys(row).join(', ') || 'no fields'}.`,
          { remedy: 'Give a file of AlpacaEval, or the answers.jsonl of a folder of results.' },
        );
      }
      byId.set(row.id, answer.text);
      generators.add('unnamed');
    }
  });
  const [generator = 'unnamed', ...more] = generators;
  return { byInstruction, byId, generator: more.length === 0 ? generator : 'several' };
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, ID_DIGITS);
}

/** Identifies answers in settings: the first digits of SHA-256 over ids and answers in order. */
export function digestOfBaseline(items: readonly AlpacaEvalItem[]): string {
  return digest(JSON.stringify(items.map(({ id, baseline }) => [id, baseline])));
}
