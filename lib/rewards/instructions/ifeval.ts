/** From the rows of the IFEval file (`instruction_id_list`, `kwargs`) to constraints. */
import { expectArray, expectInteger, expectOneOf, expectString } from '../../options';
import { LANGUAGES } from './language';
import { strip } from './text';
import type { Constraint, Relation } from './types';

type Kwargs = Readonly<Record<string, unknown>>;

const RELATIONS = ['at least', 'less than'] as const;

const number = (kwargs: Kwargs, key: string): number =>
  expectInteger(`kwargs.${key}`, kwargs[key], { min: 0 });
const text = (kwargs: Kwargs, key: string): string => expectString(`kwargs.${key}`, kwargs[key]);
const list = (kwargs: Kwargs, key: string): string[] =>
  expectArray(`kwargs.${key}`, kwargs[key]).map((item, i) => expectString(`kwargs.${key}[${i}]`, item));
const relation = (kwargs: Kwargs, key = 'relation'): Relation =>
  expectOneOf(`kwargs.${key}`, kwargs[key], RELATIONS);

const READERS: Readonly<Record<string, (kwargs: Kwargs) => object>> = {
  'length_constraints:number_words': (k) => ({ relation: relation(k), count: number(k, 'num_words') }),
  'length_constraints:number_sentences': (k) => ({
    relation: relation(k),
    count: number(k, 'num_sentences'),
  }),
  'length_constraints:number_paragraphs': (k) => ({ count: number(k, 'num_paragraphs') }),
  'length_constraints:nth_paragraph_first_word': (k) => ({
    count: number(k, 'num_paragraphs'),
    nth: number(k, 'nth_paragraph'),
    word: text(k, 'first_word'),
  }),
  'keywords:existence': (k) => ({ keywords: list(k, 'keywords') }),
  'keywords:forbidden_words': (k) => ({ words: list(k, 'forbidden_words') }),
  'keywords:frequency': (k) => ({
    keyword: strip(text(k, 'keyword')),
    relation: relation(k),
    count: number(k, 'frequency'),
  }),
  'keywords:letter_frequency': (k) => ({
    letter: text(k, 'letter'),
    relation: relation(k, 'let_relation'),
    count: number(k, 'let_frequency'),
  }),
  'detectable_format:number_bullet_lists': (k) => ({ count: number(k, 'num_bullets') }),
  'detectable_format:number_highlighted_sections': (k) => ({ count: number(k, 'num_highlights') }),
  'detectable_format:multiple_sections': (k) => ({
    splitter: strip(text(k, 'section_spliter')), // spelt so in the file
    count: number(k, 'num_sections'),
  }),
  'detectable_content:number_placeholders': (k) => ({ count: number(k, 'num_placeholders') }),
  'detectable_content:postscript': (k) => ({ marker: strip(text(k, 'postscript_marker')) }),
  'startend:end_checker': (k) => ({ phrase: text(k, 'end_phrase') }),
  'combination:repeat_prompt': (k) => ({ prompt: text(k, 'prompt_to_repeat') }),
  'language:response_language': (k) => ({ language: expectOneOf('kwargs.language', k.language, LANGUAGES) }),
  'change_case:capital_word_frequency': (k) => ({
    relation: relation(k, 'capital_relation'),
    count: number(k, 'capital_frequency'),
  }),
  'change_case:english_lowercase': () => ({ english: true }),
  'change_case:english_capital': () => ({ english: true }),
  'punctuation:no_comma': () => ({}),
  'detectable_format:title': () => ({}),
  'detectable_format:json_format': () => ({}),
  'detectable_format:constrained_response': () => ({}),
  'startend:quotation': () => ({}),
  'combination:two_responses': () => ({}),
};

/** The 25 kinds of IFEval. */
export const IFEVAL_IDS: readonly string[] = Object.keys(READERS);

/**
 * The constraint of one instruction of an IFEval row.
 * @param kwargs the row's parameters for it, in the file's names
 * @returns null for ids that are not IFEval's
 * @throws LspError INVALID_ARGUMENT if a parameter is missing or of the wrong type
 */
export function constraintFromIfeval(id: string, kwargs: Kwargs): Constraint | null {
  const read = Object.hasOwn(READERS, id) ? READERS[id] : undefined;
  return read ? ({ id, ...read(kwargs) } as Constraint) : null;
}
