/** Drawn sets of constraints: deterministic, feasible (an answer is built for each), without conflicts, spread. */
import {
  areCompatible,
  areFeasible,
  drawConstraints,
  formatConstraint,
  INSTRUCTION_IDS,
  parseConstraint,
  satisfies,
  wordsWithin,
  type Constraint,
} from '../../lib/rewards/instructions';
import { words } from '../../lib/rewards/instructions/text';
import { witnessOf } from './witness';

/** Park and Miller's generator: enough for tests. Seeds are spread first: small ones begin with small numbers. */
function randomOf(seed: number): () => number {
  let state = (seed * 1664525 + 1013904223) % 2147483647 || 1;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

const LIMITS = [24, 48, 64, 128, 256];
const DRAWS = 3000;

function* draws(): Generator<{ constraints: Constraint[]; maxNewTokens: number; count: number }> {
  for (let seed = 1; seed <= DRAWS; seed++) {
    const maxNewTokens = LIMITS[seed % LIMITS.length]!;
    const count = 1 + (seed % 4);
    yield { constraints: drawConstraints(randomOf(seed), { count, maxNewTokens }), maxNewTokens, count };
  }
}

const lines = (constraints: readonly Constraint[]): string => constraints.map(formatConstraint).join(' | ');

const NEVER_DRAWN = [
  'combination:repeat_prompt',
  'detectable_format:constrained_response',
  'language:response_language',
  'change_case:capital_word_frequency',
];

describe('drawConstraints', () => {
  it(`draws ${DRAWS} sets that an answer within the limit satisfies`, () => {
    const failures: string[] = [];
    for (const { constraints, maxNewTokens } of draws()) {
      const answer = witnessOf(constraints);
      const broken = constraints.filter((constraint) => !satisfies(constraint, answer));
      const capitals = constraints.some(({ id }) => id === 'change_case:english_capital');
      if (broken.length > 0) failures.push(`${lines(constraints)}: ${lines(broken)} broken by ${answer}`);
      else if (words(answer).length > wordsWithin(maxNewTokens, capitals)) {
        failures.push(
          `${lines(constraints)}: ${words(answer).length} words in ${maxNewTokens} tokens: ${answer}`,
        );
      }
    }
    expect(failures).toEqual([]);
  });

  it('draws as many as asked for, of different kinds, that survive their line form', () => {
    for (const { constraints, count, maxNewTokens } of draws()) {
      if (maxNewTokens >= 48) expect(constraints).toHaveLength(count);
      expect(constraints.length).toBeGreaterThan(0);
      expect(new Set(constraints.map(({ id }) => id)).size).toBe(constraints.length);
      expect(areFeasible(constraints, maxNewTokens)).toBe(true);
      for (const constraint of constraints)
        expect(parseConstraint(formatConstraint(constraint))).toEqual(constraint);
    }
  });

  it('is determined by its random numbers', () => {
    const draw = (seed: number) => drawConstraints(randomOf(seed), { count: 3, maxNewTokens: 64 });
    expect(draw(5)).toEqual(draw(5));
    expect(draw(5)).not.toEqual(draw(6));
  });

  it('reaches every kind that can be drawn, none of them rarely', () => {
    const counts = new Map<string, number>();
    let total = 0;
    for (let seed = 1; seed <= DRAWS; seed++) {
      for (const { id } of drawConstraints(randomOf(seed), { count: 1, maxNewTokens: 64 })) {
        counts.set(id, (counts.get(id) ?? 0) + 1);
        total++;
      }
    }
    const drawable = INSTRUCTION_IDS.filter((id) => !NEVER_DRAWN.includes(id));
    expect([...counts.keys()].sort()).toEqual([...drawable].sort());
    for (const count of counts.values()) expect(count).toBeGreaterThan(total / drawable.length / 2);
  });

  it('keeps to the kinds and the vocabulary given', () => {
    const kinds = ['keywords:existence', 'punctuation:no_comma'] as const;
    for (let seed = 1; seed < 50; seed++) {
      const drawn = drawConstraints(randomOf(seed), {
        count: 2,
        maxNewTokens: 64,
        kinds,
        vocabulary: ['quark'],
      });
      expect(lines(drawn).split(' | ').sort()).toEqual(['include: quark', 'no commas']);
    }
  });

  it.each([
    [{ count: 0, maxNewTokens: 64 }, 'INVALID_ARGUMENT'],
    [{ count: 1, maxNewTokens: 0 }, 'INVALID_ARGUMENT'],
    [{ count: 1, maxNewTokens: 64, kinds: [] }, 'INVALID_ARGUMENT'],
    [{ count: 1, maxNewTokens: 64, kinds: ['no:such'] }, 'INVALID_ARGUMENT'],
    [{ count: 1, maxNewTokens: 64, kinds: ['combination:repeat_prompt'] }, 'INVALID_ARGUMENT'],
    [{ count: 1, maxNewTokens: 64, vocabulary: [] }, 'INVALID_ARGUMENT'],
    [{ count: 1, maxNewTokens: 64, seed: 1 }, 'UNKNOWN_OPTION'],
  ])('refuses %j', (options, code) => {
    expect(() => drawConstraints(randomOf(1), options as never)).toThrow(expect.objectContaining({ code }));
  });
});

const setOf = (text: string): Constraint[] =>
  text.split(' | ').map((line) => {
    const constraint = parseConstraint(line);
    if (!constraint) throw new Error(`no constraint: ${line}`);
    return constraint;
  });

describe('areCompatible', () => {
  it.each([
    'words >= 10 | words <= 20',
    'include: ocean | avoid: sea',
    'lowercase | no commas | bullets = 3',
    'json | words >= 5 | include: name',
    'letter e >= 5 | words <= 10',
    'title | bullets = 2 | include: ocean',
    'postscript: P.S. | paragraphs = 2',
    'sentences >= 2 | sentences <= 4',
    'include: OCEAN | lowercase',
    'words <= 5',
  ])('%s', (text) => expect(areCompatible(setOf(text))).toBe(true));

  it.each([
    'words >= 20 | words <= 10',
    'words <= 20 | words <= 10',
    'sentences >= 4 | sentences <= 3',
    'include: ocean | avoid: ocean',
    'include: deep ocean | avoid: Ocean',
    'lowercase | uppercase',
    'json | bullets = 3',
    'json | quotes',
    'paragraphs = 2 | bullets = 3',
    'paragraphs = 2 | two responses',
    'end with: Well, yes. | no commas',
    'end with: Yes. | avoid: yes',
    'start with: So | quotes',
    'end with: The end. | lowercase',
    'frequency: ocean >= 3 | avoid: ocean',
    'include: ocean | include: ocean, sea',
    'words <= 5 | bullets = 5',
    'words <= 3 | end with: I hope that this helps you.',
    'paragraphs = 3 | sentences <= 2',
    'sentences <= 1 | end with: That is all.',
    'sentences >= 5 | words <= 10',
    'include: big bag | letter b <= 1',
    'letter b <= 1 | words >= 100',
    'title | title',
  ])('not %s', (text) => expect(areCompatible(setOf(text))).toBe(false));

  it('does not depend on the order', () => {
    const all = [
      'words >= 9',
      'json',
      'title',
      'quotes',
      'lowercase',
      'uppercase',
      'bullets = 2',
      'no commas',
    ];
    const more = [
      ...all,
      'sentences <= 2',
      'end with: So it is, then.',
      'include: so',
      'avoid: so',
      'highlights >= 1',
    ];
    for (const first of more) {
      for (const second of more) {
        const forwards = areCompatible(setOf(`${first} | ${second}`));
        expect([first, second, areCompatible(setOf(`${second} | ${first}`))]).toEqual([
          first,
          second,
          forwards,
        ]);
      }
    }
  });
});

describe('areFeasible', () => {
  it.each<[string, number, boolean]>([
    ['words >= 30', 64, true],
    ['words >= 60', 64, false],
    ['words >= 60', 128, true],
    ['uppercase | words >= 30', 64, false],
    ['uppercase | words >= 30', 128, true],
    ['bullets = 10 | include: ocean', 16, false],
    ['lowercase | uppercase', 256, false],
  ])('%s within %i tokens: %s', (text, maxNewTokens, feasible) => {
    expect(areFeasible(setOf(text), maxNewTokens)).toBe(feasible);
  });
});
