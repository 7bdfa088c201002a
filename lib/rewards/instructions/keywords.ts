/** Kinds about words and letters that must or must not occur. */
import {
  drawInteger,
  drawOne,
  drawSome,
  formatRelation,
  holds,
  listOf,
  plural,
  readAfter,
  readComparison,
  readKeyword,
  readKeywords,
  relationOf,
  simplify,
} from './reading';
import { sentences } from './sentences';
import { contains, containsWord, countOccurrences, isUpper, splitSpace, words } from './text';
import type { InstructionKind } from './types';

export const existence: InstructionKind<'keywords:existence'> = {
  id: 'keywords:existence',
  satisfies: ({ keywords }, answer) => keywords.every((keyword) => contains(answer, keyword)),
  wordings: ({ keywords }) =>
    keywords.length === 1
      ? [
          `Include the word ${listOf(keywords)}.`,
          `Your answer must mention ${listOf(keywords)}.`,
          `Use the word ${listOf(keywords)} somewhere in your answer.`,
        ]
      : [
          `Include the words ${listOf(keywords)}.`,
          `Your answer must mention ${listOf(keywords)}.`,
          `Use all of these words: ${listOf(keywords)}.`,
        ],
  format: ({ keywords }) => `include: ${keywords.join(', ')}`,
  parse({ text }) {
    // "use" alone is too common a beginning ("use simple language") to announce a keyword.
    const heads =
      '(?:must )?(?:include|mention|contain)s?(?: the)?(?: (?:key)?words?)?|use (?:the )?(?:key)?words?|keywords?';
    const rest = readAfter(text, heads);
    const keywords = rest === null ? null : readKeywords(rest);
    return keywords && { id: 'keywords:existence', keywords };
  },
  draw: (random, { vocabulary }) => ({
    id: 'keywords:existence',
    keywords: drawSome(random, vocabulary, drawInteger(random, 1, 3)),
  }),
  minimumWords: ({ keywords }) => words(keywords.join(' ')).length + keywords.length,
  requiredText: ({ keywords }) => keywords,
};

export const forbiddenWords: InstructionKind<'keywords:forbidden_words'> = {
  id: 'keywords:forbidden_words',
  satisfies: ({ words: forbidden }, answer) => !forbidden.some((word) => containsWord(answer, word)),
  wordings: ({ words: forbidden }) => [
    `Do not use the ${forbidden.length === 1 ? 'word' : 'words'} ${listOf(forbidden, 'or')}.`,
    `Avoid the ${forbidden.length === 1 ? 'word' : 'words'} ${listOf(forbidden)}.`,
    `Your answer must not contain ${listOf(forbidden, 'or')}.`,
  ],
  format: ({ words: forbidden }) => `avoid: ${forbidden.join(', ')}`,
  parse({ text }) {
    const heads =
      '(?:avoid|exclude|forbid|forbidden|without)(?: the)?(?: words?)?|' +
      "(?:do not|don't|must not|never) (?:use|include|mention|contain|say)(?: the)?(?: words?)?";
    const rest = readAfter(text, heads);
    const forbidden = rest === null ? null : readKeywords(rest);
    return forbidden && { id: 'keywords:forbidden_words', words: forbidden };
  },
  draw: (random) => ({
    id: 'keywords:forbidden_words',
    words: drawSome(random, FORBIDDEN, drawInteger(random, 1, 3)),
  }),
  minimumWords: () => 0,
};

/** Common words that many answers would use, so that avoiding them takes some care. */
const FORBIDDEN = (
  'very really good great also because but can will make people time thing important help many always never ' +
  'you your we they with for that'
).split(' ');

const FREQUENCY_LINE =
  /^(?:(?:frequency|count|repeat|repeats?|use|mention|write|say)(?: of)?(?: the)?(?: (?:key)?word)? ?:? ?)(.+?)(?: |:)\s*((?:>=|<=|[<>=≥≤]|at least|at most|no more than|more than|less than|fewer than|exactly|x)? ?(?:\d{1,3}|\w+))(?: times?)?\.?$/iu;

export const keywordFrequency: InstructionKind<'keywords:frequency'> = {
  id: 'keywords:frequency',
  satisfies: ({ keyword, relation, count }, answer) =>
    holds(countOccurrences(answer, keyword), relation, count),
  wordings: ({ keyword, relation, count }) =>
    relation === 'at least'
      ? [
          `Use the word "${keyword}" at least ${plural(count, 'time')}.`,
          `The word "${keyword}" must appear ${plural(count, 'time')} or more.`,
        ]
      : [
          `Use the word "${keyword}" at most ${plural(count - 1, 'time')}.`,
          `The word "${keyword}" must not appear more than ${plural(count - 1, 'time')}.`,
        ],
  format: ({ keyword, relation, count }) => `frequency: ${keyword} ${formatRelation(relation, count)}`,
  parse({ text }) {
    const match = FREQUENCY_LINE.exec(text);
    const keyword = match ? readKeyword(match[1]!) : null;
    const comparison = match
      ? readComparison(`times ${simplify(match[2]!).replace(/^x /, '')}`, 'times')
      : null;
    if (!keyword || !comparison) return null;
    const { relation, count } = relationOf(comparison, 'at least');
    return count >= 1 && count <= 100 ? { id: 'keywords:frequency', keyword, relation, count } : null;
  },
  draw(random, { vocabulary, words: budget }) {
    const most = Math.min(4, Math.floor(budget / 10));
    if (most < 2) return null;
    return {
      id: 'keywords:frequency',
      keyword: drawOne(random, vocabulary),
      relation: 'at least',
      count: drawInteger(random, 2, most),
    };
  },
  minimumWords: ({ keyword, relation, count }) =>
    relation === 'at least' ? count * (words(keyword).length + 1) : 0,
  requiredText: ({ keyword, relation, count }) =>
    relation === 'at least' ? Array<string>(count).fill(keyword) : [],
};

const LETTER_LINE = /^(?:the )?(?:letters?|character) ?[:=]? ?["']?(\S)["']?:? (.+)$/u;

/** Letters of middling frequency: asking for some of them, or for few, changes what is written. */
const SOME_LETTERS = 'a b c d g h i l m n o p r s t u w y'.split(' ');
const FEW_LETTERS = 'b f g k m p v w'.split(' ');

/** Any character is counted; the line form takes a to z only, as IFEval's checker does. */
export const letterFrequency: InstructionKind<'keywords:letter_frequency'> = {
  id: 'keywords:letter_frequency',
  satisfies: ({ letter, relation, count }, answer) =>
    holds(answer.toLowerCase().split(letter.toLowerCase()).length - 1, relation, count),
  wordings: ({ letter, relation, count }) =>
    relation === 'at least'
      ? [
          `Use the letter "${letter}" at least ${plural(count, 'time')}.`,
          `The letter "${letter}" must appear ${plural(count, 'time')} or more.`,
        ]
      : [
          `Use the letter "${letter}" at most ${plural(count - 1, 'time')}.`,
          `The letter "${letter}" must not appear more than ${plural(count - 1, 'time')}.`,
        ],
  format: ({ letter, relation, count }) => `letter ${letter} ${formatRelation(relation, count)}`,
  parse({ plain }) {
    const match = LETTER_LINE.exec(plain);
    const comparison = match ? readComparison(`times ${match[2]!.replace(/ times?$/, '')}`, 'times') : null;
    if (!match || !comparison || !/^[a-z]$/.test(match[1]!)) return null;
    const { relation, count } = relationOf(comparison, 'at least');
    if (count < 1 || count > 500) return null;
    return { id: 'keywords:letter_frequency', letter: match[1]!, relation, count };
  },
  draw(random, budget) {
    if (random() < 0.7) {
      const count = drawInteger(random, 3, Math.max(3, Math.min(12, Math.floor(budget.words / 4))));
      return {
        id: 'keywords:letter_frequency',
        letter: drawOne(random, SOME_LETTERS),
        relation: 'at least',
        count,
      };
    }
    const count = drawInteger(random, 2, 5);
    return {
      id: 'keywords:letter_frequency',
      letter: drawOne(random, FEW_LETTERS),
      relation: 'less than',
      count,
    };
  },
  // Words that have the letter are found for every letter, so one word for each occurrence is enough.
  minimumWords: ({ relation, count }) => (relation === 'at least' ? count : 0),
};

/** Signs that the Penn Treebank's rules split off wherever they stand. */
const SPLIT_OFF = /[;@#$%&?!*()[\]{}<>"«»“”‘’„`]|\.{2,}|--|''|[:,](?!\p{Nd})|\.(?=["'\s]*$)/gu;

/** Places within a word where they split: DO|N'T, IT|'S, CAN|NOT, GON|NA. */
const SPLIT_WITHIN =
  /(?<=[^'])(?='(?:s|m|d|ll|re|ve|S|M|D|LL|RE|VE)$|(?:n't|N'T)$)|(?<=^(?:can|d'|gim|gon|got|lem|more|wan|'t))(?=(?:(?<=can)not|(?<=d')ye|(?<=gim|lem)me|(?<=gon|wan)na|(?<=got)ta|(?<=more)'n|(?<='t)(?:is|was))$)/iu;

/** Words without a lower-case letter and with a capital one, split as in the Penn Treebank. */
function countCapitalWords(answer: string): number {
  return sentences(answer)
    .flatMap((sentence) => splitSpace(sentence.replace(SPLIT_OFF, ' ')))
    .flatMap((word) => word.split(SPLIT_WITHIN))
    .filter(isUpper).length;
}

export const capitalWordFrequency: InstructionKind<'change_case:capital_word_frequency'> = {
  id: 'change_case:capital_word_frequency',
  satisfies: ({ relation, count }, answer) => holds(countCapitalWords(answer), relation, count),
  wordings: ({ relation, count }) =>
    relation === 'at least'
      ? [
          `Write at least ${plural(count, 'word')} in capital letters only.`,
          `Your answer must have ${plural(count, 'word')} or more in ALL CAPITALS.`,
        ]
      : [
          `Write at most ${plural(count - 1, 'word')} in capital letters only.`,
          `Your answer must not have more than ${plural(count - 1, 'word')} in ALL CAPITALS.`,
        ],
  format: ({ relation, count }) => `capital words ${formatRelation(relation, count)}`,
  parse({ plain }) {
    const comparison = readComparison(plain, '(?:all )?(?:capital|uppercase|upper case|capitalized) words?');
    if (!comparison) return null;
    const { relation, count } = relationOf(comparison, 'at least');
    if (count < 1 || count > 200) return null;
    return { id: 'change_case:capital_word_frequency', relation, count };
  },
  draw: () => null,
  minimumWords: ({ relation, count }) => (relation === 'at least' ? count : 0),
};
