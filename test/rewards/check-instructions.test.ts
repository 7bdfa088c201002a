/** Strict and loose verdicts on rows of the IFEval file, by hand; see ifeval-agreement.test.ts for the reference's. */
import { checkInstructions } from '../../lib/rewards/instructions';
import { errorOf, expectError } from '../support/errors';

const row = (id: string, kwargs: Record<string, unknown> = {}) => ({
  instruction_id_list: [id],
  kwargs: [kwargs],
});
const COMMA = row('punctuation:no_comma');
const PARAGRAPHS = row('length_constraints:number_words', { relation: 'less than', num_words: 3 });
const END = row('startend:end_checker', { end_phrase: 'The end' });
const HIGHLIGHT = row('detectable_format:number_highlighted_sections', { num_highlights: 1 });

describe('checkInstructions', () => {
  it.each([
    ['as it is', COMMA, 'no comma here', true, true],
    ['first line removed', COMMA, 'Sure, here:\nno comma', false, true],
    ['last line removed', COMMA, 'no comma\nWell, bye', false, true],
    ['both removed', COMMA, 'Sure, here:\nno comma\nWell, bye', false, true],
    ['a middle line stays', COMMA, 'a\nb, c\nd', false, false],
    ['asterisks removed', END, 'so it goes. **The end**', false, true],
    ['first line and asterisks removed', END, 'Sure.\n*The* end', false, true],
    ['last line and asterisks removed', END, 'The *end*\nBye', false, true],
    ['both lines and asterisks removed', PARAGRAPHS, 'a b c\n* d * e\nf g h', false, true],
    ['removing asterisks takes nothing away from loose', HIGHLIGHT, '*this*', true, true],
    ['an empty reading satisfies nothing', COMMA, 'a, b', false, false],
    ['an empty response satisfies nothing', COMMA, ' \n ', false, false],
  ])('%s', (_, item, response, strict, loose) => {
    expect(checkInstructions(item, response)).toEqual({ strict: [strict], loose: [loose] });
  });

  it('has one verdict per instruction, in order', () => {
    const item = {
      key: 1,
      prompt: 'x',
      instruction_id_list: ['punctuation:no_comma', 'keywords:existence'],
      kwargs: [{}, { keywords: ['bird'] }],
    };
    expect(checkInstructions(item, 'a, bird')).toEqual({ strict: [false, true], loose: [false, true] });
  });

  it.each([
    [row('language:response_language', { language: 'xx' }), /`kwargs.language`/],
    [row('startend:start_phrase', { phrase: 'x' }), /instruction_id_list\[0\].*startend:start_phrase/],
    [row('change_case:capital_word_frequency'), /`kwargs.capital_relation`/],
    [row('toString'), /toString/],
    [row('length_constraints:number_words', { num_words: 3 }), /`kwargs.relation`/],
    [row('length_constraints:number_words', { relation: 'at least', num_words: null }), /`kwargs.num_words`/],
    [row('keywords:existence'), /`kwargs.keywords`/],
    [{ instruction_id_list: ['punctuation:no_comma'], kwargs: [] }, /`item.kwargs`/],
    [{ instruction_id_list: ['punctuation:no_comma'], kwargs: [null] }, /`item.kwargs\[0\]`/],
    [null, /`item`/],
  ])('refuses %j', (item, message) => {
    expectError(
      errorOf(() => checkInstructions(item as never, 'x')),
      'INVALID_ARGUMENT',
      message,
    );
  });
});
