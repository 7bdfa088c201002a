/** Worked examples for the Challenger of word problems, and every sentence that the task says to a model. */
export interface ProblemExample {
  /** Arithmetic that gives the answer, as `evaluateExpression` reads it. */
  sum: string;
  /** All numbers of the sum are in it, as digits or as words. */
  problem: string;
}

export const PROBLEM_EXAMPLES: readonly ProblemExample[] = [
  {
    sum: '5 * 8 - 6',
    problem: 'A farmer fills 5 crates with 8 melons each. He sells 6 melons. How many melons are left?',
  },
  {
    sum: '24 / 4 + 3',
    problem: 'Four children share 24 nuts equally. Mia then finds 3 more. How many nuts does Mia have?',
  },
  {
    sum: '15 + 27',
    problem: 'A bus has 15 passengers. At the station 27 people get on. How many passengers are there now?',
  },
  {
    sum: '90 - 3 * 20',
    problem: 'Ben has $90 and buys 3 books for $20 each. How many dollars does he have left?',
  },
  {
    sum: '(12 + 18) / 2',
    problem: 'Ana picks 12 pears and 18 plums. She gives half of the fruit away. How many does she keep?',
  },
  { sum: '7 * 30', problem: 'A baker sells 30 rolls every day. How many rolls does she sell in 7 days?' },
  {
    sum: '100 - 45 - 25',
    problem: 'A rope is 100 metres long. Pieces of 45 and 25 metres are cut off. How long is the rest?',
  },
  {
    sum: '6 * 12 + 10',
    problem: 'There are 6 boxes with 12 pens each and 10 loose pens. How many pens are there in all?',
  },
  { sum: '48 / 6', problem: 'A teacher puts 48 chairs into rows of 6. How many rows are there?' },
  {
    sum: '2 * 35 + 50',
    problem: 'Two adults pay $35 each and a child pays $50. How many dollars do they pay together?',
  },
  {
    sum: '60 * 3 - 40',
    problem:
      'A train goes 60 miles an hour for 3 hours, then 40 miles back. How far is it from where it began?',
  },
  {
    sum: '200 / 5 / 4',
    problem: 'A library spends $200 on 5 shelves with 4 boards each. How many dollars is that for a board?',
  },
];

export const MATHS_SYSTEM =
  'You invent short word problems in arithmetic for school. First write the sum, with + - * / and small numbers. Then ' +
  'write a problem of two or three sentences that tells a story with the same numbers and ends in a question. Never ' +
  'write the answer. Every problem is about something new.';

export const MATHS_SYSTEM_WITHOUT_SUM =
  'You invent short word problems in arithmetic for school. A problem is one to three sentences that tell a story with ' +
  'small numbers and end in a question. Never write the answer. Every problem is about something new.';

export const SUMS_SYSTEM =
  'You invent sums for school, with whole numbers, + - * / and now and then parentheses. Write one sum, never its answer. ' +
  'Every sum is a new one.';

export const ASK_FOR_SUM = 'Next sum, please.';

export const ASK_FOR_PROBLEM = 'Next problem, please.';

/** What the Solver is told behind the problem. */
export const ASK_FOR_ANSWER = 'Work it out in short steps. End with a line "#### " and the number.';
