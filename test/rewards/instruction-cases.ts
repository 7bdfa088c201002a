/** The table behind the tests of the kinds. */
import type { Constraint } from '../../lib/rewards/instructions';

export interface InstructionCase {
  /** Lines that are read as the constraint; the first is the one that `formatConstraint` writes. */
  lines: string[];
  constraint: Constraint;
  right: string[];
  wrong: string[];
}

export const INSTRUCTION_CASES: InstructionCase[] = [
  {
    lines: [
      'words <= 4',
      'words: 4',
      '- at most four words',
      'Words < 5',
      'words ≤ 4',
      '`up to 4 words`',
      'use 4 words',
    ],
    constraint: { id: 'length_constraints:number_words', relation: 'less than', count: 5 },
    right: ['one two three four', 'One.', 'a-b c_d'],
    wrong: ['one two three four five', "don't do that now"],
  },
  {
    lines: [
      'words >= 3',
      'at least 3 words',
      'words > 2',
      '2) words => 3',
      'more than two words',
      'Words: at least 3.',
    ],
    constraint: { id: 'length_constraints:number_words', relation: 'at least', count: 3 },
    right: ['one two three', 'naïve café 東京', 'a,b,c'],
    wrong: ['one two', '... !!! ???'],
  },
  {
    lines: ['sentences <= 2', 'sentences: 2', 'at most two sentences', 'fewer than 3 sentences'],
    constraint: { id: 'length_constraints:number_sentences', relation: 'less than', count: 3 },
    right: ['One here.', 'Dr. Smith came. He left.', 'It costs 3.50 today! Really?', 'one\ntwo\nthree'],
    wrong: ['One. Two. Three.', 'One?! Two. And three'],
  },
  {
    lines: ['sentences >= 2', 'at least 2 sentences', 'minimum 2 sentences'],
    constraint: { id: 'length_constraints:number_sentences', relation: 'at least', count: 2 },
    right: ['one thing. another thing.', 'What? Yes', '1. Item'],
    wrong: ['A title\nA line', 'Mr. J. R. Smith wrote it', 'so it goes... on'],
  },
  {
    lines: ['paragraphs = 2', 'paragraphs: 2', 'exactly two paragraphs', 'paragraphs 2'],
    constraint: { id: 'length_constraints:number_paragraphs', count: 2 },
    right: ['one\n***\ntwo', 'one *** two', '***\none\n***\ntwo', 'one***two***'],
    wrong: ['one\n\ntwo', 'one *** *** two', 'one\n***\ntwo\n***\nthree'],
  },
  {
    lines: [
      'paragraph 2 of 2 starts with: weekend',
      'Paragraph 2 of 2 begins with "weekend".',
      'paragraph 2/2 starts with weekend',
    ],
    constraint: { id: 'length_constraints:nth_paragraph_first_word', count: 2, nth: 2, word: 'weekend' },
    right: ['one\n\nWeekend, at last', 'one\n\n"weekend" it is', "a\n\n'weekend"],
    wrong: ['one\n\nweekends', 'weekend\n\none', 'one\nweekend', 'a\n\nweekend\n\nb'],
  },
  {
    lines: [
      'include: ocean, blue',
      'Include the words "ocean" and "blue"',
      'keywords: ocean, blue',
      'must mention ocean, and blue',
      'use the words ocean and blue.',
    ],
    constraint: { id: 'keywords:existence', keywords: ['ocean', 'blue'] },
    right: ['The blue ocean.', 'OCEANS are Blueish'],
    wrong: ['The ocean', 'Blue', 'bl ue ocean'],
  },
  {
    lines: [
      'avoid: red, wine',
      'Avoid the words red and wine',
      'do not use: red, wine',
      "don't use the words red, wine",
      'without red, wine',
    ],
    constraint: { id: 'keywords:forbidden_words', words: ['red', 'wine'] },
    right: ['covered in twine', 'blue', 'redo'],
    wrong: ['A red car', 'WINE!', 'red-hot'],
  },
  {
    lines: [
      'frequency: tree >= 2',
      'use tree at least 2 times',
      'mention tree twice',
      'Repeat "tree" >= two times',
      'frequency: tree: 2',
    ],
    constraint: { id: 'keywords:frequency', keyword: 'tree', relation: 'at least', count: 2 },
    right: ['tree and tree', 'Trees, TREE', 'street tree'],
    wrong: ['a tree', 'nothing'],
  },
  {
    lines: ['frequency: tree <= 1', 'use tree at most 1 time', 'frequency: tree < 2'],
    constraint: { id: 'keywords:frequency', keyword: 'tree', relation: 'less than', count: 2 },
    right: ['a tree', 'nothing'],
    wrong: ['tree tree'],
  },
  {
    lines: ['letter e >= 3', 'letter e at least 3', 'the letter "e": >= 3 times', 'Letter E >= 3'],
    constraint: { id: 'keywords:letter_frequency', letter: 'e', relation: 'at least', count: 3 },
    right: ['eee', 'Every tree', 'we See E'],
    wrong: ['ee', 'none', 'big'],
  },
  {
    lines: ['letter q <= 1', 'letter q < 2', 'letter q at most one'],
    constraint: { id: 'keywords:letter_frequency', letter: 'q', relation: 'less than', count: 2 },
    right: ['quick', 'none'],
    wrong: ['Quick quote'],
  },
  {
    lines: ['language: de', 'language: German', 'Answer in German.', 'in German'],
    constraint: { id: 'language:response_language', language: 'de' },
    right: ['Das ist eine ganz gewöhnliche Antwort auf eine einfache Frage.', '42'],
    wrong: ['This is quite an ordinary answer to a simple question.'],
  },
  {
    lines: ['capital words >= 3', 'at least 3 capital words', 'Capital words: three', 'uppercase words > 2'],
    constraint: { id: 'change_case:capital_word_frequency', relation: 'at least', count: 3 },
    right: ['THIS is A very BIG one', "DON'T GO", 'CANNOT (NOW)', 'ONE, TWO: THREE', 'A1 B2 C3'],
    wrong: ['This Is Not', 'STATE-OF-THE-ART U.S.A.', 'ONE 2 3', 'ONE/TWO'],
  },
  {
    lines: ['capital words <= 1', 'at most one capital word', 'fewer than 2 capital words'],
    constraint: { id: 'change_case:capital_word_frequency', relation: 'less than', count: 2 },
    right: ['none', 'One ONE'],
    wrong: ['ONE TWO', "IT'S"],
  },
  {
    lines: [
      'lowercase',
      'all lowercase',
      'Lower case',
      'use lowercase letters only',
      'no capital letters',
      'lower-case',
    ],
    constraint: { id: 'change_case:english_lowercase' },
    right: ['all small, 3 times.', 'ß'],
    wrong: ['Not this', '123', 'mIx'],
  },
  {
    lines: ['uppercase', 'ALL CAPS', 'capital letters only', 'UPPERCASE', 'all uppercase', 'upper case'],
    constraint: { id: 'change_case:english_capital' },
    right: ['ALL BIG, 3 TIMES.'],
    wrong: ['ALMOSt', '123', 'no'],
  },
  {
    lines: [
      'no commas',
      'No comma.',
      'avoid commas',
      'without any commas',
      'do not use commas',
      'commas = 0',
    ],
    constraint: { id: 'punctuation:no_comma' },
    right: ['one; two', 'plain'],
    wrong: ['one, two', '1,000'],
  },
  {
    lines: [
      'bullets = 2',
      'bullets: 2',
      'use two bullets',
      '2 bullet points',
      'exactly 2 bullets',
      '* bullets 2',
    ],
    constraint: { id: 'detectable_format:number_bullet_lists', count: 2 },
    right: ['* one\n* two', 'List:\n- one\n  - two', '* one\ntext\n- two'],
    wrong: ['* one', '* one\n* two\n* three', '• one\n• two', '1. one\n2. two'],
  },
  {
    lines: ['title', 'include a title', '<<title>>', 'Title.', 'a title in <<angle brackets>>'],
    constraint: { id: 'detectable_format:title' },
    right: ['<<A Title>>\ntext', 'text <<t>>', '<<<x>>>'],
    wrong: ['<Title>', '<<>>', '<< >>', '<<a\nb>>', '**Title**'],
  },
  {
    lines: ['json', 'JSON format', 'valid json only', 'in JSON', 'format: json'],
    constraint: { id: 'detectable_format:json_format' },
    right: [
      '{"a": NaN}',
      '[-Infinity, "NaN"]',
      '{"a": [1, 2]}',
      '```json\n{"a": 1}\n```',
      '```\n[]\n```',
      '3',
    ],
    wrong: ['1NaN', '-NaN', '"NaN', '{a: 1}', 'Here: {"a": 1}', '{"a": 1} done', "{'a': 1}"],
  },
  {
    lines: ['highlights >= 2', 'highlights: 2', 'at least two highlights', 'highlighted sections >= 2'],
    constraint: { id: 'detectable_format:number_highlighted_sections', count: 2 },
    right: ['*a* and *b*', '**a** and *b*', '*a* *b* *c*'],
    wrong: ['*a* only', '** ** * *', '*a\nb*'],
  },
  {
    lines: ['sections >= 2: Part', 'sections: 2 Part', 'sections = 2, named "Part"'],
    constraint: { id: 'detectable_format:multiple_sections', splitter: 'Part', count: 2 },
    right: ['Part 1\na\nPart 2\nb', 'Part1 Part2', 'Part 1 Part 2 Part 3'],
    wrong: ['Part 1', 'part 1 part 2', 'Part one Part two'],
  },
  {
    lines: ['yes, no or maybe', 'Yes/no/maybe', 'answer with yes, no, or maybe'],
    constraint: { id: 'detectable_format:constrained_response' },
    right: ['My answer is yes.', 'Well. My answer is maybe. That is it.'],
    wrong: ['my answer is yes.', 'Yes', 'My answer is yes'],
  },
  {
    lines: ['placeholders >= 2', 'placeholders: 2', 'at least 2 placeholders', 'use two placeholders'],
    constraint: { id: 'detectable_content:number_placeholders', count: 2 },
    right: ['[a] [b]', '[] []', 'Dear [name], on [date] at [place]'],
    wrong: ['[a]', '(a) (b)', '[a\n] [b'],
  },
  {
    lines: ['postscript: P.S.', 'P.S.', 'postscript', 'add a postscript', 'postscript: PS'],
    constraint: { id: 'detectable_content:postscript', marker: 'P.S.' },
    right: ['Bye.\nP.S. hello', 'bye p. s. hello', 'x P.S.'],
    wrong: ['PS: hello', 'P.P hello', 'bye'],
  },
  {
    lines: ['postscript: P.P.S', 'P.P.S.', 'postscript P.P.S.'],
    constraint: { id: 'detectable_content:postscript', marker: 'P.P.S' },
    right: ['Bye.\nP.P.S hello', 'p. p. s'],
    wrong: ['P.S. hello', 'PPS'],
  },
  {
    lines: [
      'end with: That is all.',
      'ends with "That is all."',
      'must end with: That is all.',
      'Finish with That is all.',
    ],
    constraint: { id: 'startend:end_checker', phrase: 'That is all.' },
    right: ['So it is. That is all.', 'THAT IS ALL. \n', '"Well. That is all."'],
    wrong: ['That is all. Or not.', 'That is all', 'That  is all.'],
  },
  {
    lines: ['start with: In short', 'begins with "In short"', 'Start with: "In short"'],
    constraint: { id: 'startend:start_phrase', phrase: 'In short' },
    right: ['In short, yes.', ' in short: no'],
    wrong: ['Well, in short', '"In short" yes'],
  },
  {
    lines: ['quotes', 'in quotes', 'double quotation marks', 'wrapped in quotes'],
    constraint: { id: 'startend:quotation' },
    right: ['"all of it"', ' "a" and "b" \n'],
    wrong: ['"only the start', 'none', '"', '“curly”'],
  },
  {
    lines: ['two responses', '2 different answers', 'give two responses', 'responses = 2'],
    constraint: { id: 'combination:two_responses' },
    right: ['one\n******\ntwo', '******one******two'],
    wrong: ['one', 'same\n******\nsame', 'a ****** b ****** c', 'one\n***\ntwo', 'a******  ******b'],
  },
  {
    lines: ['repeat request: Why is it so?', 'repeat the question: "Why is it so?"'],
    constraint: { id: 'combination:repeat_prompt', prompt: 'Why is it so?' },
    right: ['Why is it so? Because.', ' why is it so?'],
    wrong: ['Because. Why is it so?', 'Why is it?'],
  },
];
