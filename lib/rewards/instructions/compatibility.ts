/**
 * Which constraints can be asked for together, and within how many words.
 *
 * Two constraints conflict when no answer satisfies both, or when a reader would find them contradictory (a
 * quoted end phrase with capitals and "all lowercase", although the check ignores case there). The rules err on the
 * side of refusing: a rejected pair costs one more draw, an impossible pair costs a group without signal.
 */
import { expectInteger } from '../../options';
import { kindOf } from './kinds';
import type { Constraint, InstructionId } from './types';

/** Kinds that decide the shape of the whole answer: at most one of them. */
const LAYOUTS: ReadonlySet<InstructionId> = new Set<InstructionId>([
  'length_constraints:number_paragraphs',
  'length_constraints:nth_paragraph_first_word',
  'detectable_format:number_bullet_lists',
  'detectable_format:json_format',
  'detectable_format:multiple_sections',
  'detectable_format:constrained_response',
  'combination:two_responses',
  'combination:repeat_prompt',
]);

/** Pairs that conflict whatever their parameters; each pair stands once. */
const CONFLICTS: readonly (readonly [InstructionId, readonly InstructionId[]])[] = [
  [
    'detectable_format:json_format',
    [
      'length_constraints:number_sentences',
      'detectable_format:title',
      'detectable_format:number_highlighted_sections',
      'detectable_content:number_placeholders',
      'detectable_content:postscript',
      'startend:end_checker',
      'startend:start_phrase',
      'startend:quotation',
      'punctuation:no_comma',
    ],
  ],
  [
    'change_case:english_lowercase',
    [
      'change_case:capital_word_frequency',
      'change_case:english_capital',
      'detectable_content:postscript',
      'detectable_format:multiple_sections',
      'detectable_format:constrained_response',
      'startend:end_checker',
      'startend:start_phrase',
      'combination:repeat_prompt',
    ],
  ],
  [
    'change_case:english_capital',
    [
      'change_case:capital_word_frequency',
      'detectable_format:multiple_sections',
      'detectable_format:constrained_response',
      'startend:end_checker',
      'startend:start_phrase',
      'combination:repeat_prompt',
    ],
  ],
  [
    // A sentence count is only clear in plain running text.
    'length_constraints:number_sentences',
    [
      'detectable_format:number_bullet_lists',
      'detectable_format:title',
      'detectable_format:multiple_sections',
      'detectable_content:postscript',
      'combination:two_responses',
    ],
  ],
  [
    // Asterisks at the start of a line would count as bullets, *** and ****** as the edges of highlights.
    'detectable_format:number_highlighted_sections',
    [
      'detectable_format:number_bullet_lists',
      'length_constraints:number_paragraphs',
      'combination:two_responses',
    ],
  ],
  [
    'startend:start_phrase',
    [
      'startend:quotation',
      'combination:repeat_prompt',
      'combination:two_responses',
      'detectable_format:title',
      'length_constraints:nth_paragraph_first_word',
    ],
  ],
  [
    'startend:end_checker',
    ['detectable_content:postscript', 'combination:two_responses', 'startend:quotation'],
  ],
  [
    'startend:quotation',
    ['combination:two_responses', 'combination:repeat_prompt', 'detectable_format:title'],
  ],
  ['detectable_content:postscript', ['combination:two_responses']],
  ['detectable_format:title', ['combination:repeat_prompt', 'length_constraints:nth_paragraph_first_word']],
];

const CONFLICT_KEYS = new Set(
  CONFLICTS.flatMap(([id, others]) => others.flatMap((other) => [`${id} ${other}`, `${other} ${id}`])),
);

/** Kinds that only forbid: text that breaks them once breaks them in every longer answer. */
const PROHIBITIONS: ReadonlySet<InstructionId> = new Set<InstructionId>([
  'keywords:forbidden_words',
  'keywords:frequency',
  'keywords:letter_frequency',
  'punctuation:no_comma',
  'length_constraints:number_words',
]);

/**
 * Tokens that a word may take, punctuation and marks included: a cautious figure for subword vocabularies of 32k
 * to 150k entries (ordinary English takes about 1.3; capitals are spelt out in pieces).
 */
const TOKENS_PER_WORD = 1.6;
const TOKENS_PER_CAPITAL_WORD = 4;

/** Words that surely fit into a number of tokens. */
export function wordsWithin(maxNewTokens: number, capitals = false): number {
  return Math.floor(maxNewTokens / (capitals ? TOKENS_PER_CAPITAL_WORD : TOKENS_PER_WORD));
}

/**
 * Whether the constraints can be asked for together: no conflicting pair, no kind twice (except one lower and one
 * upper bound of the same thing), enough room under an upper bound on words for all that is required.
 */
export function areCompatible(constraints: readonly Constraint[]): boolean {
  for (let i = 0; i < constraints.length; i++) {
    for (let j = i + 1; j < constraints.length; j++) {
      if (conflict(constraints[i]!, constraints[j]!)) return false;
    }
  }
  return (
    needsAtMost(constraints, upperBound(constraints, 'length_constraints:number_words')) &&
    leastSentences(constraints) <= upperBound(constraints, 'length_constraints:number_sentences') &&
    staysWithinProhibitions(constraints)
  );
}

/**
 * Whether the constraints are compatible and an answer of at most `maxNewTokens` tokens can satisfy them all.
 * @throws LspError INVALID_ARGUMENT unless maxNewTokens is a positive integer
 */
export function areFeasible(constraints: readonly Constraint[], maxNewTokens: number): boolean {
  expectInteger('maxNewTokens', maxNewTokens, { min: 1 });
  const capitals = constraints.some(({ id }) => id === 'change_case:english_capital');
  return areCompatible(constraints) && needsAtMost(constraints, wordsWithin(maxNewTokens, capitals));
}

function conflict(first: Constraint, second: Constraint): boolean {
  if (first.id === second.id) return !isRange(first, second);
  if (LAYOUTS.has(first.id) && LAYOUTS.has(second.id)) return true;
  return CONFLICT_KEYS.has(`${first.id} ${second.id}`);
}

/** A lower and an upper bound of the same thing with something in between. */
function isRange(first: Constraint, second: Constraint): boolean {
  if (!('relation' in first) || !('relation' in second) || first.relation === second.relation) return false;
  if (
    'keyword' in first &&
    'keyword' in second &&
    first.keyword.toLowerCase() !== second.keyword.toLowerCase()
  ) {
    return false;
  }
  if ('letter' in first && 'letter' in second && first.letter.toLowerCase() !== second.letter.toLowerCase()) {
    return false;
  }
  const [lower, upper] = first.relation === 'at least' ? [first, second] : [second, first];
  return lower.count < upper.count;
}

/** The largest number that an upper bound of this kind allows; Infinity without one. */
function upperBound(
  constraints: readonly Constraint[],
  id: 'length_constraints:number_words' | 'length_constraints:number_sentences',
): number {
  const bounds = constraints.flatMap((constraint) =>
    constraint.id === id && 'relation' in constraint && constraint.relation === 'less than'
      ? [constraint.count - 1]
      : [],
  );
  return Math.min(Infinity, ...bounds);
}

/** A paragraph is a sentence at least, and so is a phrase at the beginning or the end, beside the answer proper. */
function leastSentences(constraints: readonly Constraint[]): number {
  let paragraphs = 1;
  let phrases = 0;
  for (const constraint of constraints) {
    if (constraint.id.includes('paragraph') && 'count' in constraint) paragraphs = constraint.count;
    if ('phrase' in constraint) phrases++;
  }
  return paragraphs + phrases;
}

/**
 * The requirements of different kinds add up, except that a lower bound on words is met by all the others' words,
 * and a letter's occurrences by the letters of any words.
 */
function needsAtMost(constraints: readonly Constraint[], bound: number): boolean {
  let sum = 0;
  let most = 0;
  for (const constraint of constraints) {
    const needed = kindOf(constraint).minimumWords(constraint);
    if (
      constraint.id === 'length_constraints:number_words' ||
      constraint.id === 'keywords:letter_frequency'
    ) {
      most = Math.max(most, needed);
    } else {
      sum += needed;
    }
  }
  return Math.max(sum, most) <= bound;
}

/** Text that some constraints require must not break what others forbid. */
function staysWithinProhibitions(constraints: readonly Constraint[]): boolean {
  const required = constraints
    .flatMap((constraint) => kindOf(constraint).requiredText?.(constraint) ?? [])
    .join('\n');
  if (required === '') return lettersFitLength(constraints);
  const broken = constraints.some((constraint) => {
    if (!PROHIBITIONS.has(constraint.id)) return false;
    if ('relation' in constraint && constraint.relation === 'at least') return false;
    return !kindOf(constraint).satisfies(constraint, required);
  });
  return !broken && lettersFitLength(constraints);
}

/** Few of a letter and many words do not go together: one in twelve words may have to carry the letter. */
function lettersFitLength(constraints: readonly Constraint[]): boolean {
  const needed = Math.max(0, ...constraints.map((constraint) => kindOf(constraint).minimumWords(constraint)));
  return constraints.every((constraint) => {
    if (constraint.id !== 'keywords:letter_frequency' || constraint.relation === 'at least') return true;
    return needed <= 12 * constraint.count;
  });
}
