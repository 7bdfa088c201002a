/** Kinds about length: words, sentences, paragraphs, and a given paragraph's first word. */
import { drawInteger, drawOne, formatRelation, holds, plural, readComparison, relationOf } from './reading';
import { sentences } from './sentences';
import { isBlank, SPACE, strip, words } from './text';
import type { InstructionKind, Relation } from './types';

/** Words that a short sentence or paragraph takes. */
const WORDS_PER_SENTENCE = 4;
const WORDS_PER_PARAGRAPH = 4;

export const numberWords: InstructionKind<'length_constraints:number_words'> = {
  id: 'length_constraints:number_words',
  satisfies: ({ relation, count }, answer) => holds(words(answer).length, relation, count),
  wordings: ({ relation, count }) =>
    relation === 'at least'
      ? [
          `Write at least ${plural(count, 'word')}.`,
          `Your answer must be ${plural(count, 'word')} long or longer.`,
          `Do not stop before you have written ${plural(count, 'word')}.`,
        ]
      : [
          `Use at most ${plural(count - 1, 'word')}.`,
          `Keep your answer to ${plural(count - 1, 'word')} or fewer.`,
          `Your answer must not be longer than ${plural(count - 1, 'word')}.`,
        ],
  format: ({ relation, count }) => `words ${formatRelation(relation, count)}`,
  parse: ({ plain }) => readCount('length_constraints:number_words', plain, 'words?|word count', 2000),
  draw(random, budget) {
    const relation: Relation = random() < 0.5 ? 'at least' : 'less than';
    const most = relation === 'at least' ? Math.floor(budget.words * 0.7) : budget.words;
    if (most < 8) return null;
    const count = drawInteger(random, relation === 'at least' ? 5 : 8, most);
    return { id: 'length_constraints:number_words', relation, count };
  },
  minimumWords: ({ relation, count }) => (relation === 'at least' ? count : 0),
};

export const numberSentences: InstructionKind<'length_constraints:number_sentences'> = {
  id: 'length_constraints:number_sentences',
  satisfies: ({ relation, count }, answer) => holds(sentences(answer).length, relation, count),
  wordings: ({ relation, count }) =>
    relation === 'at least'
      ? [
          `Write at least ${plural(count, 'sentence')}.`,
          `Your answer must have ${plural(count, 'sentence')} or more.`,
          `Answer in no fewer than ${plural(count, 'sentence')}.`,
        ]
      : [
          `Write at most ${plural(count - 1, 'sentence')}.`,
          `Answer in ${plural(count - 1, 'sentence')} or fewer.`,
          `Do not use more than ${plural(count - 1, 'sentence')}.`,
        ],
  format: ({ relation, count }) => `sentences ${formatRelation(relation, count)}`,
  parse: ({ plain }) => readCount('length_constraints:number_sentences', plain, 'sentences?', 100),
  draw(random, budget) {
    if (random() < 0.5) {
      return {
        id: 'length_constraints:number_sentences',
        relation: 'less than',
        count: drawInteger(random, 2, 5),
      };
    }
    const most = Math.min(6, Math.floor(budget.words / 10));
    if (most < 2) return null;
    return {
      id: 'length_constraints:number_sentences',
      relation: 'at least',
      count: drawInteger(random, 2, most),
    };
  },
  minimumWords: ({ relation, count }) => (relation === 'at least' ? count * WORDS_PER_SENTENCE : 0),
};

function readCount<Id extends 'length_constraints:number_words' | 'length_constraints:number_sentences'>(
  id: Id,
  plain: string,
  noun: string,
  most: number,
): { id: Id; relation: Relation; count: number } | null {
  const comparison = readComparison(plain, noun);
  if (!comparison) return null;
  const { relation, count } = relationOf(comparison, 'less than');
  const least = relation === 'at least' ? 1 : 2;
  return count >= least && count <= most ? { id, relation, count } : null;
}

const PARAGRAPH_MARK = new RegExp(`${SPACE}?\\*\\*\\*${SPACE}?`, 'u');

export const numberParagraphs: InstructionKind<'length_constraints:number_paragraphs'> = {
  id: 'length_constraints:number_paragraphs',
  satisfies({ count }, answer) {
    const paragraphs = answer.split(PARAGRAPH_MARK);
    const inner = paragraphs.slice(1, -1);
    if (inner.some(isBlank)) return false;
    const ends = paragraphs.length === 1 ? paragraphs : [paragraphs[0]!, paragraphs.at(-1)!];
    return inner.length + ends.filter((paragraph) => !isBlank(paragraph)).length === count;
  },
  wordings: ({ count }) =>
    count === 1
      ? ['Write a single paragraph, without any *** mark.', 'Answer in one paragraph and do not use ***.']
      : [
          `Write ${plural(count, 'paragraph')}, separated by ***.`,
          `Your answer must have exactly ${plural(count, 'paragraph')}, with *** between them.`,
          `Split your answer into ${plural(count, 'paragraph')} and put *** between one and the next.`,
        ],
  format: ({ count }) => `paragraphs = ${count}`,
  parse({ plain }) {
    const comparison = readComparison(plain, 'paragraphs?');
    if (!comparison || comparison.number < 1 || comparison.number > 20) return null;
    return { id: 'length_constraints:number_paragraphs', count: comparison.number };
  },
  draw(random, budget) {
    const most = Math.min(4, Math.floor(budget.words / 9));
    if (most < 2) return null;
    return { id: 'length_constraints:number_paragraphs', count: drawInteger(random, 2, most) };
  },
  minimumWords: ({ count }) => count * WORDS_PER_PARAGRAPH,
};

const FIRST_WORDS = 'today imagine first perhaps once every people nobody everyone good some many'.split(' ');
const NTH_LINE =
  /^paragraph (\d{1,2}) ?(?:of|\/) ?(\d{1,2})(?: must)? (?:starts?|begins?) with ?[:=]? ?["']?([\p{L}\p{N}]{1,30})["']?\.?$/iu;

export const nthParagraphFirstWord: InstructionKind<'length_constraints:nth_paragraph_first_word'> = {
  id: 'length_constraints:nth_paragraph_first_word',
  satisfies({ count, nth, word }, answer) {
    const paragraphs = answer.split('\n\n');
    const filled = paragraphs.filter((paragraph) => !isBlank(paragraph)).length;
    if (filled !== count || nth > filled) return false;
    const paragraph = strip(paragraphs[nth - 1]!);
    return paragraph !== '' && firstWord(paragraph) === word.toLowerCase();
  },
  wordings: ({ count, nth, word }) => [
    `Write ${plural(count, 'paragraph')} with a blank line between them, and begin paragraph ${nth} with the word "${word}".`,
    `Use exactly ${plural(count, 'paragraph')}, separated by blank lines; the first word of paragraph ${nth} must be "${word}".`,
  ],
  format: ({ count, nth, word }) => `paragraph ${nth} of ${count} starts with: ${word}`,
  parse({ text }) {
    const match = NTH_LINE.exec(text);
    if (!match) return null;
    const [nth, count] = [Number(match[1]), Number(match[2])];
    if (nth < 1 || nth > count || count > 20) return null;
    return { id: 'length_constraints:nth_paragraph_first_word', count, nth, word: match[3]!.toLowerCase() };
  },
  draw(random, budget) {
    const most = Math.min(3, Math.floor(budget.words / 10));
    if (most < 2) return null;
    const count = drawInteger(random, 2, most);
    const nth = drawInteger(random, 1, count);
    return {
      id: 'length_constraints:nth_paragraph_first_word',
      count,
      nth,
      word: drawOne(random, FIRST_WORDS),
    };
  },
  minimumWords: ({ count }) => count * WORDS_PER_PARAGRAPH,
  requiredText: ({ word }) => [word],
};

const FIRST_TOKEN = new RegExp(`^(?:(?!${SPACE})[^])+`, 'u');

/** The first word in lower case, up to its first mark of punctuation, without opening quotes. */
function firstWord(paragraph: string): string {
  const token = (FIRST_TOKEN.exec(paragraph)?.[0] ?? '').replace(/^'+/, '').replace(/^"+/, '');
  const letters = token.split(/[.,?!'"]/)[0]!;
  // Letter by letter: lower case of a whole word would give a final sigma its own form.
  return Array.from(letters, (letter) => letter.toLowerCase()).join('');
}
