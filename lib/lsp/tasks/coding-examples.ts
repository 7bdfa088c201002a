/** Worked examples for the Challenger of the coding task: written for this project, small, and different from each other. */
import type { CodingExample } from '../prompts';

export const CODING_EXAMPLES: readonly CodingExample[] = [
  {
    specification: 'Return how many vowels a word has.',
    signature: 'def count_vowels(word):',
    tests: [
      "assert count_vowels('banana') == 3",
      "assert count_vowels('sky') == 0",
      "assert count_vowels('Eel') == 2",
    ],
  },
  {
    specification: 'Return the largest difference between two neighbouring numbers of a list.',
    signature: 'def largest_step(numbers):',
    tests: [
      'assert largest_step([1, 4, 6]) == 3',
      'assert largest_step([5, 5]) == 0',
      'assert largest_step([10, 2, 3]) == 8',
    ],
  },
  {
    specification: 'Tell whether a year is a leap year.',
    signature: 'def is_leap_year(year):',
    tests: [
      'assert is_leap_year(2024) == True',
      'assert is_leap_year(1900) == False',
      'assert is_leap_year(2000) == True',
    ],
  },
  {
    specification: 'Double every number of a list that is odd and leave the others as they are.',
    signature: 'def double_odd(numbers):',
    tests: [
      'assert double_odd([1, 2, 3]) == [2, 2, 6]',
      'assert double_odd([]) == []',
      'assert double_odd([8, 5]) == [8, 10]',
    ],
  },
  {
    specification: 'Return the words of a sentence in the opposite order.',
    signature: 'def turn_around(sentence):',
    tests: [
      "assert turn_around('we eat bread') == 'bread eat we'",
      "assert turn_around('hello') == 'hello'",
      "assert turn_around('a b') == 'b a'",
    ],
  },
  {
    specification: 'Return the price after a discount given in percent.',
    signature: 'def reduced(price, percent):',
    tests: ['assert reduced(200, 10) == 180', 'assert reduced(50, 0) == 50', 'assert reduced(80, 50) == 40'],
  },
  {
    specification: 'Count how often each letter occurs in a word.',
    signature: 'def letters(word):',
    tests: [
      "assert letters('noon') == {'n': 2, 'o': 2}",
      "assert letters('') == {}",
      "assert letters('egg') == {'e': 1, 'g': 2}",
    ],
  },
  {
    specification: 'Return the middle number of three numbers.',
    signature: 'def middle(a, b, c):',
    tests: ['assert middle(1, 2, 3) == 2', 'assert middle(9, 4, 7) == 7', 'assert middle(5, 5, 0) == 5'],
  },
  {
    specification: 'Turn minutes into a text of hours and minutes such as 2:05.',
    signature: 'def clock(minutes):',
    tests: ["assert clock(125) == '2:05'", "assert clock(59) == '0:59'", "assert clock(60) == '1:00'"],
  },
  {
    specification: 'Return the numbers that are in both of two lists, sorted and without repetition.',
    signature: 'def common(first, second):',
    tests: [
      'assert common([3, 1, 2], [2, 3]) == [2, 3]',
      'assert common([1], [2]) == []',
      'assert common([4, 4], [4]) == [4]',
    ],
  },
];
