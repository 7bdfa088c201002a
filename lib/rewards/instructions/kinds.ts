/** The table of all kinds, and the operations on one constraint that go through it. */
import { invalid } from '../../options';
import * as format from './format';
import * as keywords from './keywords';
import * as length from './length';
import { readLine } from './reading';
import * as style from './style';
import { isBlank } from './text';
import type { Constraint, ConstraintOf, InstructionId, InstructionKind } from './types';

type KindTable = { readonly [Id in InstructionId]: InstructionKind<Id> };

/** Every kind by id. */
export const INSTRUCTION_KINDS: KindTable = {
  'length_constraints:number_words': length.numberWords,
  'length_constraints:number_sentences': length.numberSentences,
  'length_constraints:number_paragraphs': length.numberParagraphs,
  'length_constraints:nth_paragraph_first_word': length.nthParagraphFirstWord,
  'keywords:existence': keywords.existence,
  'keywords:forbidden_words': keywords.forbiddenWords,
  'keywords:frequency': keywords.keywordFrequency,
  'keywords:letter_frequency': keywords.letterFrequency,
  'language:response_language': style.responseLanguage,
  'change_case:capital_word_frequency': keywords.capitalWordFrequency,
  'change_case:english_lowercase': style.lowercase,
  'change_case:english_capital': style.uppercase,
  'punctuation:no_comma': style.noComma,
  'detectable_format:number_bullet_lists': format.bulletLists,
  'detectable_format:title': format.title,
  'detectable_format:json_format': format.jsonFormat,
  'detectable_format:number_highlighted_sections': format.highlightedSections,
  'detectable_format:multiple_sections': format.multipleSections,
  'detectable_format:constrained_response': format.constrainedResponse,
  'detectable_content:number_placeholders': format.placeholders,
  'detectable_content:postscript': format.postscript,
  'startend:end_checker': style.endChecker,
  'startend:start_phrase': style.startPhrase,
  'startend:quotation': style.quotation,
  'combination:two_responses': style.twoResponses,
  'combination:repeat_prompt': style.repeatPrompt,
};

export const INSTRUCTION_IDS = Object.keys(INSTRUCTION_KINDS) as InstructionId[];

/**
 * The order in which parsers are asked: lines that several kinds could read belong to the first. "use ocean >= 2"
 * is a frequency before it is a keyword, and "avoid commas" forbids no word.
 */
const PARSE_ORDER: InstructionId[] = [
  'keywords:letter_frequency',
  'punctuation:no_comma',
  'keywords:forbidden_words',
  ...INSTRUCTION_IDS.filter((id) => !id.startsWith('keywords:') && id !== 'punctuation:no_comma'),
  'keywords:frequency',
  'keywords:existence',
];

/**
 * The kind of a constraint, typed for any constraint: the table guarantees that a kind meets only its own.
 * @throws LspError INVALID_ARGUMENT for an unknown id
 */
export function kindOf(constraint: Constraint): InstructionKind {
  if (!Object.hasOwn(INSTRUCTION_KINDS, constraint.id)) {
    throw invalid('constraint.id', 'the id of a known instruction', constraint.id);
  }
  return INSTRUCTION_KINDS[constraint.id];
}

/**
 * Whether an answer satisfies a constraint, by IFEval's strict semantics (for the ids that are IFEval's).
 * An answer without any text satisfies nothing.
 * @throws LspError INVALID_ARGUMENT for an unknown id
 */
export function satisfies(constraint: Constraint, answer: string): boolean {
  const kind = kindOf(constraint);
  return !isBlank(answer) && kind.satisfies(constraint, answer);
}

/**
 * A constraint as an English sentence. Each kind has several wordings; which one is chosen depends on the
 * constraint alone, or on `variant` (any integer) if given.
 */
export function describe(
  constraint: Constraint,
  variant: number = hash(formatConstraint(constraint)),
): string {
  const wordings = kindOf(constraint).wordings(constraint);
  return wordings[((variant % wordings.length) + wordings.length) % wordings.length]!;
}

/** A constraint in the line form that `parseConstraint` reads, e.g. `words <= 40`. */
export function formatConstraint(constraint: Constraint): string {
  return kindOf(constraint).format(constraint);
}

/**
 * Reads one line as a small model writes it: list marks, code ticks, case, number words, `≤` or "at most" and
 * quotation marks do not matter. A bare number is an upper bound for words and sentences, a lower bound for
 * frequencies.
 * @returns null for a line that is no constraint, or one with parameters out of range
 */
export function parseConstraint(line: string): Constraint | null {
  const read = readLine(line);
  if (!read) return null;
  for (const id of PARSE_ORDER) {
    const constraint = INSTRUCTION_KINDS[id].parse(read) as ConstraintOf<InstructionId> | null;
    if (constraint) return constraint as Constraint;
  }
  return null;
}

/** FNV-1a over UTF-16 code units, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  }
  return value >>> 0;
}
