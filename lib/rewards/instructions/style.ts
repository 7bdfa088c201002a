/** Kinds about case, punctuation, beginnings and ends, and combinations of answers. */
import { isInLanguage, languageName, LANGUAGES } from './language';
import { drawOne, readAfter } from './reading';
import { isBlank, isLower, isUpper, strip, stripCharacters, words } from './text';
import type { InstructionKind } from './types';

export const lowercase: InstructionKind<'change_case:english_lowercase'> = {
  id: 'change_case:english_lowercase',
  satisfies: ({ english }, answer) => isLower(answer) && (!english || isInLanguage(answer, 'en')),
  wordings: () => [
    'Write everything in lowercase letters.',
    'Do not use any capital letters.',
    'Your whole answer must be in lowercase.',
  ],
  format: () => 'lowercase',
  parse: ({ plain }) =>
    /^(?:(?:all|use|in|only|english|case)[ :]*)*lower ?case(?: letters| only)*$|^no (?:capitals?|upper ?case|capital letters)$/.test(
      plain,
    )
      ? { id: 'change_case:english_lowercase' }
      : null,
  draw: () => ({ id: 'change_case:english_lowercase' }),
  minimumWords: () => 1,
};

export const uppercase: InstructionKind<'change_case:english_capital'> = {
  id: 'change_case:english_capital',
  satisfies: ({ english }, answer) => isUpper(answer) && (!english || isInLanguage(answer, 'en')),
  wordings: () => [
    'Write everything in capital letters.',
    'Use capital letters only.',
    'Your whole answer must be in uppercase.',
  ],
  format: () => 'uppercase',
  parse: ({ plain }) =>
    /^(?:(?:all|use|in|only|english|case)[ :]*)*(?:upper ?case|capitals?|caps|capital letters)(?: letters| only)*$|^no lower ?case(?: letters)?$/.test(
      plain,
    )
      ? { id: 'change_case:english_capital' }
      : null,
  draw: () => ({ id: 'change_case:english_capital' }),
  minimumWords: () => 1,
};

const LANGUAGE_BY_NAME = new Map(
  LANGUAGES.flatMap((code) => [
    [code, code],
    [languageName(code).toLowerCase(), code],
  ]),
);

export const responseLanguage: InstructionKind<'language:response_language'> = {
  id: 'language:response_language',
  satisfies: ({ language }, answer) => isInLanguage(answer, language),
  wordings: ({ language }) => [
    `Write your whole answer in ${languageName(language)}.`,
    `Answer in ${languageName(language)} only.`,
  ],
  format: ({ language }) => `language: ${language}`,
  parse({ text }) {
    const name = readAfter(text, '(?:answer |write |entirely )?in|language')?.replace(/[ .]+$/, '');
    const language = name === undefined ? undefined : LANGUAGE_BY_NAME.get(name.toLowerCase());
    return language === undefined ? null : { id: 'language:response_language', language };
  },
  // A small model writes one language, and a detector is unreliable on short answers.
  draw: () => null,
  minimumWords: () => 0,
};

export const noComma: InstructionKind<'punctuation:no_comma'> = {
  id: 'punctuation:no_comma',
  satisfies: (_constraint, answer) => !answer.includes(','),
  wordings: () => [
    'Do not use any commas.',
    'Write without commas.',
    'Your answer must not contain a comma.',
  ],
  format: () => 'no commas',
  parse: ({ plain }) =>
    /^(?:(?:no|avoid|without|zero|0)(?: any)? commas?|commas? ?[:=]+ ?(?:no|none|0)|(?:do not|don't|never) use(?: any)? commas?)$/.test(
      plain,
    )
      ? { id: 'punctuation:no_comma' }
      : null,
  draw: () => ({ id: 'punctuation:no_comma' }),
  minimumWords: () => 0,
};

const END_PHRASES = [
  'That is all.',
  'What do you think?',
  'I hope this helps.',
  'And that is how it works.',
  'Thank you for reading.',
  'Now it is your turn.',
  'The rest is up to you.',
];

export const endChecker: InstructionKind<'startend:end_checker'> = {
  id: 'startend:end_checker',
  satisfies: ({ phrase }, answer) =>
    stripCharacters(strip(answer), '"').toLowerCase().endsWith(strip(phrase).toLowerCase()),
  wordings: ({ phrase }) => [
    `End your answer with exactly this: "${phrase}"`,
    `The last words of your answer must be: "${phrase}"`,
    `Finish with this phrase and write nothing after it: "${phrase}"`,
  ],
  format: ({ phrase }) => `end with: ${phrase}`,
  parse({ text }) {
    const phrase = readPhrase(text, '(?:must )?(?:ends?|finish(?:es)?) with');
    return phrase === null ? null : { id: 'startend:end_checker', phrase };
  },
  draw: (random) => ({ id: 'startend:end_checker', phrase: drawOne(random, END_PHRASES) }),
  minimumWords: ({ phrase }) => words(phrase).length + 2,
  requiredText: ({ phrase }) => [phrase],
};

const START_PHRASES = [
  'Let me explain.',
  'To begin with',
  'Here is my answer.',
  'Good question!',
  'In short',
  'First of all',
  'As far as I know',
];

export const startPhrase: InstructionKind<'startend:start_phrase'> = {
  id: 'startend:start_phrase',
  satisfies: ({ phrase }, answer) => strip(answer).toLowerCase().startsWith(strip(phrase).toLowerCase()),
  wordings: ({ phrase }) => [
    `Begin your answer with exactly this: "${phrase}"`,
    `The first words of your answer must be: "${phrase}"`,
    `Start with this phrase: "${phrase}"`,
  ],
  format: ({ phrase }) => `start with: ${phrase}`,
  parse({ text }) {
    const phrase = readPhrase(text, '(?:must )?(?:starts?|begins?) with');
    return phrase === null ? null : { id: 'startend:start_phrase', phrase };
  },
  draw: (random) => ({ id: 'startend:start_phrase', phrase: drawOne(random, START_PHRASES) }),
  minimumWords: ({ phrase }) => words(phrase).length + 2,
  requiredText: ({ phrase }) => [phrase],
};

/** A phrase of one to twelve words with at least one letter, so that "..." is no phrase. */
function readPhrase(text: string, heads: string): string | null {
  const phrase = readAfter(text, heads);
  if (phrase === null || !/\p{L}/u.test(phrase)) return null;
  return words(phrase).length <= 12 ? phrase : null;
}

export const quotation: InstructionKind<'startend:quotation'> = {
  id: 'startend:quotation',
  satisfies(_constraint, answer) {
    const text = strip(answer);
    return text.length > 1 && text.startsWith('"') && text.endsWith('"');
  },
  wordings: () => [
    'Wrap your whole answer in double quotation marks.',
    'Put double quotation marks around your entire answer.',
    'Your answer must begin and end with a double quotation mark.',
  ],
  format: () => 'quotes',
  parse: ({ plain }) =>
    /^(?:(?:in|use|with|wrap in|wrapped in|double) ?)*(?:quotes|quotation(?: marks?)?)$/.test(plain)
      ? { id: 'startend:quotation' }
      : null,
  draw: () => ({ id: 'startend:quotation' }),
  minimumWords: () => 1,
};

export const twoResponses: InstructionKind<'combination:two_responses'> = {
  id: 'combination:two_responses',
  satisfies(_constraint, answer) {
    const responses = answer.split('******');
    if (responses.slice(1, -1).some(isBlank)) return false;
    const filled = responses.filter((response) => !isBlank(response));
    return filled.length === 2 && strip(filled[0]!) !== strip(filled[1]!);
  },
  wordings: () => [
    'Give two different answers, separated by six asterisks: ******',
    'Answer twice in different ways and put ****** between the two answers.',
  ],
  format: () => 'two responses',
  parse: ({ plain }) =>
    /^(?:give |write )?2 (?:different )?(?:responses|answers)(?: .*\*{6})?$/.test(plain) ||
    /^(?:responses|answers) ?[:=]* ?2$/.test(plain)
      ? { id: 'combination:two_responses' }
      : null,
  draw: (_random, budget) => (budget.words < 16 ? null : { id: 'combination:two_responses' }),
  minimumWords: () => 8,
};

export const repeatPrompt: InstructionKind<'combination:repeat_prompt'> = {
  id: 'combination:repeat_prompt',
  satisfies: ({ prompt }, answer) => strip(answer).toLowerCase().startsWith(strip(prompt).toLowerCase()),
  wordings: ({ prompt }) => [
    `First repeat this request word for word, then answer it: "${prompt}"`,
    `Before you answer, copy this request without any change: "${prompt}"`,
  ],
  format: ({ prompt }) => `repeat request: ${prompt}`,
  parse({ text }) {
    const prompt = readAfter(text, 'repeat(?: the)? (?:request|prompt|question|task)');
    return prompt === null || !/\p{L}/u.test(prompt) ? null : { id: 'combination:repeat_prompt', prompt };
  },
  // Needs the task's own text, which a draw knows nothing of.
  draw: () => null,
  minimumWords: ({ prompt }) => words(prompt).length + 3,
  requiredText: ({ prompt }) => [prompt],
};
