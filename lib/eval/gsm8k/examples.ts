/** Worked examples for where no training rows are given: of our own, in the form of the data, in no test set. */
export interface WorkedExample {
  question: string;
  /** Ends in a line `#### answer`. */
  answer: string;
}

export const OWN_EXAMPLES: readonly WorkedExample[] = [
  {
    question: 'A shelf has 4 rows with 9 jars in each. 7 jars are empty. How many jars are full?',
    answer: 'There are 4 * 9 = 36 jars on the shelf.\n36 - 7 = 29 jars are full.\n#### 29',
  },
  {
    question:
      'Nora reads 15 pages a day on weekdays and 30 pages a day at the weekend. How many pages does she read in a week?',
    answer:
      'On the five weekdays she reads 5 * 15 = 75 pages.\nAt the weekend she reads 2 * 30 = 60 pages.\nTogether that is 75 + 60 = 135 pages.\n#### 135',
  },
  {
    question:
      'A ferry ticket costs $12, and children pay half. What do 3 adults and 4 children pay together?',
    answer:
      'A child pays 12 / 2 = $6.\nThe adults pay 3 * 12 = $36 and the children 4 * 6 = $24.\nTogether they pay 36 + 24 = $60.\n#### 60',
  },
  {
    question:
      'A barrel holds 80 litres. A quarter of it is used on Monday and 15 litres on Tuesday. How many litres are left?',
    answer: 'On Monday 80 / 4 = 20 litres are used.\nThen 80 - 20 - 15 = 45 litres are left.\n#### 45',
  },
  {
    question:
      'Omar has twice as many stamps as Lena, who has 18 fewer than Kim. Kim has 50 stamps. How many does Omar have?',
    answer: 'Lena has 50 - 18 = 32 stamps.\nOmar has 2 * 32 = 64 stamps.\n#### 64',
  },
  {
    question:
      'A shirt costs $40. Its price falls by 20%, then a voucher takes off $5. What does it cost in the end?',
    answer:
      '20% of 40 is 40 * 0.20 = $8.\nThe lower price is 40 - 8 = $32.\nWith the voucher it is 32 - 5 = $27.\n#### 27',
  },
  {
    question:
      'A printer makes 6 pages a minute. How many minutes does it take for 3 booklets of 48 pages each?',
    answer: 'The booklets have 3 * 48 = 144 pages.\nThat takes 144 / 6 = 24 minutes.\n#### 24',
  },
  {
    question:
      'Three friends share 2 pizzas of 12 slices each. They leave 3 slices. How many slices did each eat if all ate the same?',
    answer:
      'There are 2 * 12 = 24 slices.\nThey ate 24 - 3 = 21 slices.\nEach friend ate 21 / 3 = 7 slices.\n#### 7',
  },
];
