/**
 * Reward of maths with a known answer: 1 where the answer in the text equals the reference, 0 otherwise. How answers are
 * found and compared is maths/'s business.
 */
import { checkOptions, expectArray, expectOneOf, expectString, invalid } from '../options';
import { ANSWER_PLACES, canonicalAnswer, extractAnswer, type AnswerPlace } from './maths';
import type { Reward, Sample } from './reward';

export interface MathAnswerOptions {
  /** The field of `sample.info` with the reference answer, a string or a number. Default 'answer'. */
  field?: string;
  /** Where the answer may stand in the text, in order of preference. Default: all of `ANSWER_PLACES`. */
  places?: readonly AnswerPlace[];
}

/** Abstains (null) where a sample has no reference answer. */
export class MathAnswer implements Reward {
  readonly name = 'math-answer';
  readonly #field: string;
  readonly #places: readonly AnswerPlace[];

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(options: MathAnswerOptions = {}) {
    const checked = checkOptions(options, ['field', 'places'], 'MathAnswer');
    this.#field = expectString('field', checked.field ?? 'answer', { allowEmpty: false });
    this.#places = expectArray('places', checked.places ?? ANSWER_PLACES, { nonEmpty: true }).map((place) =>
      expectOneOf('places', place, ANSWER_PLACES),
    );
  }

  /** @throws LspError INVALID_ARGUMENT for a reference that is no answer: an empty one, or one that is no text or number */
  score(samples: readonly Pick<Sample, 'answer' | 'info'>[]): (number | null)[] {
    return samples.map(({ answer, info }) => {
      const reference = this.#reference(info);
      return reference === null ? null : Number(voteOf(answer, this.#places) === reference);
    });
  }

  #reference(info: Readonly<Record<string, unknown>>): string | null {
    const reference = info[this.#field];
    if (reference === undefined || reference === null) return null;
    const form =
      typeof reference === 'string' || typeof reference === 'number'
        ? canonicalAnswer(referenceOf(String(reference)), { arithmetic: true })
        : null;
    if (form !== null) return form;
    throw invalid(`info.${this.#field}`, 'an answer, or none', reference);
  }
}

/** The answer in a solution that ends in `#### answer`, as data sets have them; any other text as it is. */
export function referenceOf(solution: string): string {
  return solution.includes('####') ? (extractAnswer(solution, { places: ['hash'] }) ?? '') : solution;
}

/** What a text says the answer is, in a form that is equal for equal answers: the `extract` of a `MajorityVote`. */
export function voteOf(text: string, places: readonly AnswerPlace[] = ANSWER_PLACES): string | null {
  const answer = extractAnswer(text, { places });
  return answer === null ? null : canonicalAnswer(answer);
}
