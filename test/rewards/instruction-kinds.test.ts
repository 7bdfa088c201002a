/** Every kind: answers that satisfy it, answers that do not, its line form and what its parser tolerates. */
import {
  constraintFromIfeval,
  describe as describeConstraint,
  formatConstraint,
  INSTRUCTION_IDS,
  INSTRUCTION_KINDS,
  parseConstraint,
  satisfies,
} from '../../lib/rewards/instructions';
import { sentences } from '../../lib/rewards/instructions/sentences';
import { contains, containsWord, countOccurrences } from '../../lib/rewards/instructions/text';
import { INSTRUCTION_CASES } from './instruction-cases';

describe('every kind', () => {
  it('has cases', () => {
    const covered = new Set(INSTRUCTION_CASES.map(({ constraint }) => constraint.id));
    expect([...covered].sort()).toEqual([...INSTRUCTION_IDS].sort());
    for (const id of INSTRUCTION_IDS) expect(INSTRUCTION_KINDS[id].id).toBe(id);
  });

  for (const { lines, constraint, right, wrong } of INSTRUCTION_CASES) {
    describe(lines[0]!, () => {
      it.each(right)('is satisfied by %j', (answer) => expect(satisfies(constraint, answer)).toBe(true));
      it.each(wrong)('is not satisfied by %j', (answer) => expect(satisfies(constraint, answer)).toBe(false));
      it.each(['', ' ', '\n\t '])('is not satisfied by the empty %j', (answer) => {
        expect(satisfies(constraint, answer)).toBe(false);
      });
      it.each(lines)('is read from %j', (line) => expect(parseConstraint(line)).toEqual(constraint));
      it('writes its line form', () => expect(formatConstraint(constraint)).toBe(lines[0]));
      it('has wordings that differ and name every parameter', () => {
        const wordings = [0, 1, 2].map((variant) => describeConstraint(constraint, variant));
        expect(new Set(wordings).size).toBeGreaterThanOrEqual(2);
        expect(describeConstraint(constraint)).toBe(describeConstraint({ ...constraint }));
        const count = 'count' in constraint ? constraint.count : null;
        const shown = 'relation' in constraint && constraint.relation === 'less than' ? count! - 1 : count;
        for (const wording of wordings) {
          expect(wording).toMatch(/^[A-Z].*(?:[.!?"*]|P\.P\.S)$/u);
          if (shown !== null) expect(wording).toContain(String(shown));
          for (const [key, value] of Object.entries(constraint)) {
            const told = key === 'language' ? 'German' : value;
            if (key === 'id' || key === 'relation' || key === 'count') continue;
            for (const item of [told].flat()) expect(wording).toContain(String(item));
          }
        }
      });
    });
  }
});

describe('lines that are no constraint', () => {
  it.each([
    '',
    '   ',
    'The ocean is a nice place to be.',
    'words',
    'words <= 0',
    'words >= 100000',
    'bullets = 0',
    'bullets = 99',
    'letter ee >= 3',
    'letter e',
    'letter # >= 3',
    'include:',
    'include: !!!',
    'include: one, two, three, four, five, six',
    'include a really long and rambling list of things',
    'end with: ...',
    'paragraph 3 of 2 starts with: word',
    'words <= 40\nno commas',
    `include: ${'x'.repeat(300)}`,
  ])('%j', (line) => expect(parseConstraint(line)).toBeNull());

  // Exponential backtracking would never end; all of it takes some 20 ms, the limit is for loaded machines.
  it('are refused quickly, however odd', () => {
    const pieces = [
      'use ',
      'in ',
      'all: ',
      'json ',
      'x ',
      '"',
      '* ',
      '>= ',
      'frequency ',
      '. ',
      '<<',
      ': ',
      '- ',
    ];
    const started = performance.now();
    for (const piece of pieces) {
      for (const repeats of [5, 10, 20, 40, 66, 100_000]) parseConstraint(piece.repeat(repeats));
    }
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe('checks of long odd answers', () => {
  // Each takes well under a second; quadratic steps over 10,000 repeats stay below the limit, worse ones do not.
  it.each([
    '\n',
    ' ',
    '*',
    '[',
    '<<',
    '"',
    ' ******',
    '. ',
    '- ',
    'p. ',
    '\n\n',
    '\\"',
    'NaN"',
    'A.',
    '?! ',
    "IT'S-",
  ])('of %j end quickly', (piece) => {
    const answer = piece.repeat(10_000);
    const started = performance.now();
    for (const { constraint } of INSTRUCTION_CASES) satisfies(constraint, answer);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe('sentences', () => {
  it.each([
    ['One. Two! Three? Four.', 4],
    ['One… Two', 1],
    ['"Stop." He left.', 2],
    ['“Stop.” He left.', 2],
    ['Mr. and Mrs. Smith met Dr. J. Doe at 5 p.m. on Monday.', 1],
    ['He came at 5 p.m. The others came later.', 2],
    ['1. First item.\n2. Second item.', 4],
    ['at 5. and later', 1],
    ['A. First\nB. Second', 3],
    ['all lower case. still two.', 2],
    ['No stop\n\nat all', 1],
    ['Version 2.5 is out at example.com today.', 1],
    ['Really?! Yes.', 2],
    ['wait... what', 1],
    ['Wait... The end', 2],
    ['***\n---\n', 1],
    ['So did I. Then we left.', 2],
    ['A quote?\n"', 1],
    [' \u3000\n', 0],
  ])('%j are %i', (text, count) => expect(sentences(text)).toHaveLength(count));
});

describe('any case, as Python sees it', () => {
  it.each(['i', 'I', 'İ', 'ı'])('%s is an i', (letter) => {
    expect(contains(`x${letter}nk`, 'ink')).toBe(true);
    expect(containsWord(`x ${letter}nk.`, 'ink')).toBe(true);
    expect(countOccurrences(`${letter}${letter}`, 'i')).toBe(2);
  });
  it.each([
    ['ſtep', 'step'],
    ['\u212aid', 'kid'],
  ])('%s is %s', (text, word) => expect(containsWord(text, word)).toBe(true));
});

it("white space is Python's", () => {
  expect(satisfies({ id: 'punctuation:no_comma' }, '\x1c\x85')).toBe(false);
  expect(satisfies({ id: 'punctuation:no_comma' }, '\ufeff')).toBe(true);
});

describe('constraints on the case', () => {
  const german = 'das ist eine ganz gewöhnliche antwort auf eine einfache frage.';
  const english = 'this is quite an ordinary answer to a simple question.';
  it('ask for English where a row of IFEval does', () => {
    const row = constraintFromIfeval('change_case:english_lowercase', {})!;
    expect([satisfies(row, english), satisfies(row, german)]).toEqual([true, false]);
    const capitals = constraintFromIfeval('change_case:english_capital', {})!;
    expect(satisfies(capitals, english.toUpperCase())).toBe(true);
    expect(satisfies(capitals, german.toUpperCase())).toBe(false);
  });
  it('do not when they are drawn', () => {
    expect(satisfies({ id: 'change_case:english_lowercase' }, german)).toBe(true);
  });
});

it('an unknown id is an error, not a failed check', () => {
  expect(() => satisfies({ id: 'no:such' } as never, 'x')).toThrow(/known instruction/);
  expect(() => satisfies({ id: 'toString' } as never, 'x')).toThrow(/known instruction/);
});

it("ids that are not IFEval's are null", () => {
  expect(constraintFromIfeval('startend:start_phrase', { phrase: 'x' })).toBeNull();
  expect(constraintFromIfeval('toString', {})).toBeNull();
});
