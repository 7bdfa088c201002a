/**
 * Sentences by the rules of Punkt (Kiss and Strunk, "Unsupervised Multilingual Sentence Boundary Detection", 2006), the
 * splitter that IFEval counts with. A line break alone ends nothing; `?` and `!` always end a sentence; a full stop does
 * unless it belongs to an abbreviation, an initial or a number and what follows does not look like a beginning.
 *
 * Punkt has its knowledge of words from a corpus. In its place stand two lists of everyday English, so the counts of a
 * few texts differ; docs/evaluations.md says how many, beside what libraries for this reach.
 */
import { isLower, isUpper, LINE_END, SPACE, strip } from './text';

/** What may follow an end mark at once, and ends a token. */
const SIGN = '[)";}\\]*:@\'({\\[!?‘’“”«»]';
const NOT_SPACE = `(?:(?!${SPACE})[^])`;
/** What separates words here is ASCII only, as in the reference. */
const SPACES = /[ \t\n\r\v\f]/;

/** A mark that may end a sentence, and what makes it one: a sign, or white space and a word. */
const END_MARK = new RegExp(`[.?!](?=(${SIGN}|${SPACE}+${NOT_SPACE}+))`, 'gu');

const LEADING = new RegExp(`${SPACE}*`, 'uy');
/** Signs after an end mark that belong to the sentence before them. */
const TRAILING = new RegExp(`["')\\]}‘’“”«»]+?(?:${SPACE}+|(?=--)|${LINE_END})`, 'uy');

/** Dashes or dots in a row; a word up to a sign, a row, or a comma at its end; one character. */
const ROW = '-{2,}|\\.{2,}';
const WORD_END = `${SPACE}|$|${SIGN}|${ROW}`;
const TOKEN = new RegExp(
  `${ROW}|(?!${SPACE})(?:[^("\`{\\[:;&#*@)}\\]\\-,][^]*?(?=${WORD_END}|,(?:${WORD_END}))|[^])`,
  'gu',
);

const NUMBER = /^-?[.,]?\p{Nd}[\p{Nd},.-]*\.?$/u;
const INITIAL = /^(?:\p{L}|_)\.$/u;

const ABBREVIATIONS = new Set(
  (
    'mr mrs ms dr prof messrs jr sr st rep reps sen gen col lt maj inc corp co cos ltd bros vs va pa ' +
    'jan feb aug sep sept oct nov dec tues wed fri ph.d a.m p.m a.d b.v u.s u.s.a u.k u.n u.s.s.r d.c n.y l.a j.r ' +
    'calif colo conn fla ill ky mass mich minn okla ore tenn wash wis ft ave adm ok c d f g k l m r s t v w h.m m.b.a'
  ).split(' '),
);

/** Words that begin a sentence when they are capitalised after an abbreviation or an ellipsis. */
const STARTERS = new Set(
  (
    'the it i he she they we you this that these those there here if in on at so but while when since both most ' +
    'some many however though although despite instead thus yet what who how why where let now then'
  ).split(' '),
);

/**
 * The sentences of a text, without white space around them. Text without a mark at its end is a sentence too; white
 * space alone is none.
 */
export function sentences(text: string): string[] {
  const found: string[] = [];
  let start = 0;
  for (const end of sentenceEnds(text)) {
    LEADING.lastIndex = end;
    const begin = end + LEADING.exec(text)![0].length;
    TRAILING.lastIndex = begin;
    const next = begin + (TRAILING.exec(text)?.[0].length ?? 0);
    found.push(text.slice(start, next));
    start = next;
  }
  found.push(text.slice(start));
  return found.map(strip).filter((sentence) => sentence !== '');
}

/** Offsets behind the marks that end a sentence. The last mark of a word speaks for all of them. */
function sentenceEnds(text: string): number[] {
  const ends: number[] = [];
  let pending: Candidate | null = null;
  const settle = (): void => {
    if (pending && containsBreak(text, pending)) ends.push(pending.end);
  };
  for (const mark of text.matchAll(END_MARK)) {
    const gap = lastSpace(text, pending?.end ?? 0, mark.index);
    if (gap !== null) settle();
    const from: number = gap !== null ? gap + 1 : (pending?.from ?? 0);
    pending = { from, end: mark.index + 1, following: mark[1]! };
  }
  settle();
  return ends;
}

/** Offset of the last white space in [from, to), or null. */
function lastSpace(text: string, from: number, to: number): number | null {
  for (let index = to - 1; index >= from; index--) if (SPACES.test(text[index]!)) return index;
  return null;
}

/** The last mark of a word that may end a sentence. */
interface Candidate {
  /** Where the word begins, and behind its mark. */
  from: number;
  end: number;
  /** The sign, or the white space and the word, that follows. */
  following: string;
}

const LIST_MARKS = /(?:^|\n)[ \t*#>-]{0,20}$/;

/** Whether a sentence ends within a word, its end mark and what follows it. */
function containsBreak(text: string, { from, end, following }: Candidate): boolean {
  const tokens = (text.slice(from, end) + following).match(TOKEN) ?? [];
  const listed = LIST_MARKS.test(text.slice(Math.max(0, from - 21), from));
  return tokens.slice(0, -1).some((token, index) => endsSentence(token, tokens[index + 1]!, listed));
}

function endsSentence(token: string, next: string, listed: boolean): boolean {
  if (!token.endsWith('.')) return token === '?' || token === '!';
  const type = token.slice(0, -1).toLowerCase();
  const ellipsis = token.endsWith('..');
  const initial = INITIAL.test(token);
  const abbreviated = ABBREVIATIONS.has(type) || ABBREVIATIONS.has(type.split('-').at(-1)!);
  if ((ellipsis || abbreviated) && !initial) return isCapitalised(next) && isStarter(next);
  if (abbreviated) return false;
  // "J. Smith" is a name; "x > b. Then" is not, nor is "A. First" at the beginning of a line.
  if (initial && !listed && isUpper(token) && isCapitalised(next)) return isStarter(next);
  return !((initial || NUMBER.test(token)) && cannotBegin(next));
}

function isCapitalised(word: string): boolean {
  return isUpper(String.fromCodePoint(word.codePointAt(0)!));
}

function isStarter(word: string): boolean {
  return STARTERS.has(word.toLowerCase().replace(/\.$/, ''));
}

/** After a number or an initial: "at 5. the" goes on. */
function cannotBegin(word: string): boolean {
  return /^[;:,.!?]$/.test(word) || isLower(String.fromCodePoint(word.codePointAt(0)!));
}
