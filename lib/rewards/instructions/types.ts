/**
 * Verifiable instructions: constraints on an answer that a program can check from its text alone.
 *
 * A constraint is plain data (it travels through JSON, worker threads and run directories); everything that can be
 * done with one lives in the `InstructionKind` of its id. Ids containing a kind of IFEval (Zhou et al., 2023,
 * arXiv 2311.07911) are IFEval's own and are checked with IFEval's semantics; `startend:start_phrase` is ours.
 */

/** IFEval's two relations; "at most n" is `less than` n + 1. */
export type Relation = 'at least' | 'less than';

/** The parameters of every kind, by id. Counts are integers. */
export interface ConstraintParameters {
  /** Words are maximal runs of letters, digits and underscores. */
  'length_constraints:number_words': { relation: Relation; count: number };
  'length_constraints:number_sentences': { relation: Relation; count: number };
  /** Paragraphs are separated by `***`. */
  'length_constraints:number_paragraphs': { count: number };
  /** Paragraphs are separated by a blank line; exactly `count` of them, the `nth` (from 1) begins with `word`. */
  'length_constraints:nth_paragraph_first_word': { count: number; nth: number; word: string };
  /** All of them, anywhere, in any case, also inside longer words. */
  'keywords:existence': { keywords: string[] };
  /** None of them as a whole word, in any case. */
  'keywords:forbidden_words': { words: string[] };
  /** Occurrences in any case, also inside longer words. */
  'keywords:frequency': { keyword: string; relation: Relation; count: number };
  /** One character, in any case. */
  'keywords:letter_frequency': { letter: string; relation: Relation; count: number };
  /** Written in the language of this ISO 639-1 code, as far as a detector can tell. */
  'language:response_language': { language: string };
  /** Words of capital letters only; words are split as in the Penn Treebank. */
  'change_case:capital_word_frequency': { relation: Relation; count: number };
  /** `english`: in English too, as rows of IFEval ask; a drawn constraint is about the case alone. */
  'change_case:english_lowercase': { english?: true };
  'change_case:english_capital': { english?: true };
  'punctuation:no_comma': object;
  /** Exactly `count` lines that begin with `*` or `-`. */
  'detectable_format:number_bullet_lists': { count: number };
  /** A title wrapped in << >>. */
  'detectable_format:title': object;
  /** The whole answer is JSON, in a Markdown code fence or bare. */
  'detectable_format:json_format': object;
  /** At least `count` passages in *single* or **double** asterisks. */
  'detectable_format:number_highlighted_sections': { count: number };
  /** At least `count` times the splitter followed by a number. */
  'detectable_format:multiple_sections': { splitter: string; count: number };
  /** Contains "My answer is yes.", "My answer is no." or "My answer is maybe." */
  'detectable_format:constrained_response': object;
  /** At least `count` passages in [square brackets]. */
  'detectable_content:number_placeholders': { count: number };
  'detectable_content:postscript': { marker: string };
  /** The answer ends with the phrase, in any case. */
  'startend:end_checker': { phrase: string };
  /** The answer begins with the phrase, in any case. Not a kind of IFEval. */
  'startend:start_phrase': { phrase: string };
  /** The whole answer in double quotation marks. */
  'startend:quotation': object;
  /** Two different answers separated by ******. */
  'combination:two_responses': object;
  /** The answer begins with this text. */
  'combination:repeat_prompt': { prompt: string };
}

export type InstructionId = keyof ConstraintParameters;

export type ConstraintOf<Id extends InstructionId> = { id: Id } & ConstraintParameters[Id];

/** One constraint: its kind's id and that kind's parameters. */
export type Constraint = { [Id in InstructionId]: ConstraintOf<Id> }[InstructionId];

/** Uniform in [0, 1), like Math.random; seeded by the caller. */
export type Random = () => number;

/** A line as a model wrote it, prepared for the parsers of the kinds. */
export interface ConstraintLine {
  /** Trimmed, without list marks and code ticks; case kept. */
  text: string;
  /** `text` in lower case with comparisons as <=, >=, <, >, = and small numbers as digits. */
  plain: string;
}

/** What a draw may use. */
export interface DrawBudget {
  /** Words that surely fit into the token limit. */
  words: number;
  /** Words from which keywords are drawn. */
  vocabulary: readonly string[];
}

/** Everything that can be done with constraints of one id. */
export interface InstructionKind<Id extends InstructionId = InstructionId> {
  id: Id;
  /** The check itself. An answer without any text is the caller's business. */
  satisfies(constraint: ConstraintOf<Id>, answer: string): boolean;
  /** Natural English sentences that all say the constraint. */
  wordings(constraint: ConstraintOf<Id>): string[];
  /** The line form; `parse` reads it back to an equal constraint. */
  format(constraint: ConstraintOf<Id>): string;
  /** null: the line is not of this kind. */
  parse(line: ConstraintLine): ConstraintOf<Id> | null;
  /** A constraint that fits the budget; null: this kind cannot be drawn (for this budget). */
  draw(random: Random, budget: DrawBudget): ConstraintOf<Id> | null;
  /** Number of words that an answer needs at least; 0 where any length will do. */
  minimumWords(constraint: ConstraintOf<Id>): number;
  /** Text that a satisfying answer contains in some form; none by default. */
  requiredText?(constraint: ConstraintOf<Id>): string[];
}
