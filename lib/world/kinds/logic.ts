/** Truth values joined by and, or, not: `not` binds tightest, then `and`. Level: connectives less one. */
import { defineKind } from './define';
import { pick } from './draws';

/** Words of an expression, e.g. not true or false. */
type Words = readonly string[];

const isValid = (words: Words): boolean =>
  /^(?:not )*(?:true|false)(?: (?:and|or) (?:not )*(?:true|false))*$/.test(words.join(' '));

const isConnective = (word: string): boolean => word === 'not' || word === 'and' || word === 'or';

function evaluate(words: Words): boolean {
  const text = words.join(' ');
  return text.split(' or ').some((alternative) =>
    alternative.split(' and ').every((term) => {
      const negations = term.match(/not/g)?.length ?? 0;
      return term.endsWith('true') === (negations % 2 === 0);
    }),
  );
}

export const logic = defineKind<Words>({
  name: 'logic',
  description: 'evaluate an expression of truth values',
  credit: 'exact',
  parse: (text) => {
    const words = /^[Ii]s it true: (.+)$/.exec(text)?.[1]?.split(' ') ?? [];
    // One connective at least, and two if the level is to be 1: a bare value is no question.
    return isValid(words) && words.filter(isConnective).length >= 2 ? words : null;
  },
  write: (words) => `Is it true: ${words.join(' ')}`,
  level: (words) => words.filter(isConnective).length - 1,
  solve: (words) => String(evaluate(words)),
  // Overlooks every "not".
  slip: (words) => String(evaluate(words.filter((word) => word !== 'not'))),
  draw: (level, random) => {
    const words: string[] = [];
    let left = level + 1;
    for (;;) {
      if (left > 0 && random() < 0.35) {
        words.push('not');
        left--;
      }
      words.push(pick(['true', 'false'], random));
      if (left === 0) return words;
      words.push(pick(['and', 'or'], random));
      left--;
    }
  },
});
