/** Which regular expressions of a model file may run: those in use, and none that could end the process. */
import { examinePattern } from '../../lib/model/formats/pattern-check';

const GPT_4O_LETTERS = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
const GPT_4O_CAPITALS = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";

test.each([
  ['GPT-2', "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"],
  [
    'GPT-4',
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|" +
      '\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s',
  ],
  [
    'GPT-4o',
    `[^\\r\\n\\p{L}\\p{N}]?${GPT_4O_CAPITALS}*${GPT_4O_LETTERS}+${CONTRACTIONS}?|` +
      `[^\\r\\n\\p{L}\\p{N}]?${GPT_4O_CAPITALS}+${GPT_4O_LETTERS}*${CONTRACTIONS}?|` +
      '\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  ],
  [
    'Llama 3',
    `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|` +
      '\\s+(?!\\S)|\\s+',
  ],
  [
    'Qwen 2',
    `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|` +
      '\\s+(?!\\S)|\\s+',
  ],
  [
    'DeepSeek 3',
    '[!"#$%&\'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|' +
      ' ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  ],
  ['CJK', '[一-龥\u3040-ゟ゠-ヿ]+'],
  ['Bloom', ' ?[^(\\s|[.,!?…。，、।۔،])]+'],
  ['digits by threes from the right', '\\p{N}{1,3}(?=(?:\\p{N}{3})*(?:\\P{N}|$))'],
  ['digits before groups of three', '(?=(\\d{3})+(?!\\d))'],
  ['Gemma', ' '],
])('the pattern of %s is fine', (_, pattern) => {
  expect(examinePattern(pattern).problem).toBeUndefined();
});

test.each([
  'a*a*a*a*a*a*a*a*a*a*c',
  'a*a*c',
  'a+b?a+c',
  '\\w*\\d+x',
  '(?:a*)(?:a*)c',
  '(?=a*a*c)',
  'x(?!a+a+c)y?',
  '(?:a*|b)(?:c|a*)d',
  'a{0,100}a{0,100}c',
  'a{2,}a{2,}c',
  'a?'.repeat(30) + 'c',
  '(?:a|a)'.repeat(30) + 'c',
  '(?:a|a){30}c',
  '(?:(?:a|a){8}){8}c',
  '(?:a|b?){20,}',
  '(?:a*c|a)*',
  '(a+)+$',
  '(a|a?)+$',
  '(?:a+){2,}b',
  'a{1,3}+c',
  'a++?c?a**d',
  '(?i)a*a*c',
])('%s could be retried without end', (pattern) => {
  expect(examinePattern(pattern).problem).toBe('slow');
});

test.each([
  '(a*)\\1b',
  '(?<x>a\\g<x>*)',
  '(?~a)',
  '(?(1)a|b)',
  '(*FAIL)',
  'a(?i)b|c',
  '(?x: a )',
  '[]|]',
  '[^]|]',
  '[a[]|]]',
  '[[:a]',
  'a{3,1}',
  '\\Qa*\\E',
  '\\c(',
  '(?:'.repeat(100) + ')'.repeat(100),
])('%s is not known', (pattern) => {
  expect(examinePattern(pattern).problem).toBe('unknown');
});

test.each(['(', '([', 'a)', '[a', 'a\\', '(?:a'])('%s does not parse', (pattern) => {
  expect(examinePattern(pattern).problem).toBe('malformed');
});

test.each<[string, boolean]>([
  ['a', false],
  ['a*', true],
  ['a|', true],
  ['(?:a?|b)c*', true],
  ['(?=a)', true],
  ['^', true],
  ['\\b$', true],
  ['a{0,3}b', false],
  ['(?:a?){3}', true],
])('whether %j can match without a character: %s', (pattern, empty) => {
  expect(examinePattern(pattern)).toEqual({ matchesEmpty: empty });
});
