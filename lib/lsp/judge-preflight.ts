/**
 * Is the judge worth listening to? Measured before a run, on pairs of which one side was made worse on purpose.
 *
 * A judge that cannot tell an answer from its own words in random order adds noise or, worse, a preference for long
 * answers. The measure is the AUC: the probability that a good answer scores above a corrupted one (0.5 is a coin).
 */
import type { Judgement } from './self-reward';

export interface JudgePair {
  query: string;
  answer: string;
}

export interface JudgeReport {
  /** Area under the ROC curve of good against corrupted answers, ties count half. */
  auc: number;
  /** Share of answers that score above their own corruption, per kind of corruption, ties count half. */
  pairwise: Record<string, number>;
  /** Mean probability on the score tokens; null for a sampling judge. */
  mass: number | null;
  /** Pearson correlation of score and number of words over the good answers; 0 if either is constant. */
  lengthCorrelation: number;
  /** Mean quality in [0, 1] of good and of corrupted answers. */
  good: number;
  corrupted: number;
  /** Answers without a score. */
  unscored: number;
  warnings: string[];
}

export type CorruptionKind = 'shuffled' | 'foreign' | 'repeated' | 'cut';

/** What is below (or above) these is reported. */
const LEAST_AUC = 0.7;
const LEAST_MASS = 0.5;
const MOST_LENGTH_CORRELATION = 0.5;

export const PREFLIGHT_PAIRS: readonly JudgePair[] = [
  {
    query: 'Why does bread rise?',
    answer:
      'Yeast eats the sugar in the dough and gives off gas. The gas is caught in the dough as bubbles, so it grows.',
  },
  {
    query: 'Suggest three things to do on a rainy Sunday.',
    answer: 'You could bake a cake, read a novel under a blanket, or invite a friend to play cards.',
  },
  {
    query: 'Write a short message to a colleague who is ill.',
    answer:
      'Dear Ana, I am sorry to hear that you are ill. Rest well, we will look after your work. Get better soon!',
  },
  {
    query: 'What is the difference between a lake and a sea?',
    answer:
      'A lake is surrounded by land and mostly has fresh water. A sea is larger, salty, and part of the ocean.',
  },
  {
    query: 'Describe a market in the morning.',
    answer:
      'Traders stack oranges and call out prices while the first customers walk by with empty baskets. It smells of ' +
      'coffee and fresh fish.',
  },
  {
    query: 'How do I keep a cactus alive?',
    answer: 'Give it much light and little water. Let the soil dry completely before you water it again.',
  },
  {
    query: 'Explain to a child what money is for.',
    answer:
      'Money is what we swap for things. You work, you get money, and in a shop you give it for an apple or a toy.',
  },
  {
    query: 'Name two advantages of trains over cars.',
    answer:
      'On a train you can read or sleep on the way, and it pollutes the air far less for each passenger.',
  },
  {
    query: 'Write the first two lines of a story about a lighthouse.',
    answer:
      'The lamp had not been lit for thirty years when old Mira climbed the stairs again. Far out, a ship was waiting.',
  },
  {
    query: 'What should I pack for a day in the mountains?',
    answer: 'Take water, some bread and fruit, a warm jacket, a map, and something against the sun.',
  },
  {
    query: 'Is a tomato a fruit?',
    answer: 'Yes. To a botanist it is a fruit, since it holds the seeds of its plant.',
  },
  {
    query: 'Give a tip for learning new words in a language.',
    answer:
      'Write each word in a sentence about your own life and read it aloud the next morning, after three days, and ' +
      'after a week.',
  },
];

/** Makes an answer worse; `other` is another pair of those that are judged. */
export type Corruption<P extends JudgePair = JudgePair> = (pair: P, other: P) => string;

/** Four ways to make an answer worse that leave its words or its length alone, so that neither can give it away. */
const CORRUPTIONS: Record<CorruptionKind, Corruption> = {
  // Every third word, then every third from the second on, and so on: a fixed shuffle.
  shuffled: ({ answer }) => {
    const words = answer.split(' ');
    return [0, 1, 2].flatMap((start) => words.filter((_, i) => i % 3 === start)).join(' ');
  },
  foreign: (_, other) => other.answer,
  repeated: ({ answer }) => {
    const words = answer.split(' ');
    return words.map((_, i) => words[i % 4]!).join(' ');
  },
  cut: ({ answer }) => {
    const words = answer.split(' ');
    return words.slice(0, Math.ceil(words.length / 3)).join(' ');
  },
};

/**
 * Scores each answer and its corruptions, and says how well the judge tells them apart.
 * @param corruptions by name; default: the four above
 */
export async function measureJudge<P extends JudgePair>(
  pairs: readonly P[],
  judge: (pairs: readonly JudgePair[]) => Promise<Judgement[]>,
  corruptions: Readonly<Record<string, Corruption<P>>> = CORRUPTIONS,
): Promise<JudgeReport> {
  const kinds = Object.keys(corruptions);
  const corrupted = kinds.flatMap((kind) =>
    pairs.map((pair, i) => ({
      query: pair.query,
      answer: corruptions[kind]!(pair, pairs[(i + 1) % pairs.length]!),
    })),
  );
  const judgements = await judge([...pairs, ...corrupted]);
  const scores = judgements.map(({ quality }) => quality);
  const good = scores.slice(0, pairs.length);
  const bad = scores.slice(pairs.length);
  const masses = judgements.flatMap(({ mass }) => (mass === null ? [] : [mass]));
  const report = {
    auc: areaUnderCurve(present(good), present(bad)),
    pairwise: Object.fromEntries(
      kinds.map((kind, k) => [kind, pairwise(good, bad.slice(k * pairs.length, (k + 1) * pairs.length))]),
    ),
    mass: masses.length === 0 ? null : mean(masses),
    lengthCorrelation: correlation(
      good,
      pairs.map(({ answer }) => answer.split(' ').length),
    ),
    good: mean(present(good)),
    corrupted: mean(present(bad)),
    unscored: scores.length - present(scores).length,
  };
  return { ...report, warnings: warningsOf(report, scores.length) };
}

function warningsOf(report: Omit<JudgeReport, 'warnings'>, total: number): string[] {
  const warnings: string[] = [];
  const { auc, mass, lengthCorrelation, unscored } = report;
  if (!(auc >= LEAST_AUC)) {
    warnings.push(
      `The judge hardly tells answers from corrupted ones (AUC ${auc.toFixed(2)}, a coin has 0.50): ` +
        'lower its weight or do without it.',
    );
  }
  if (mass !== null && mass < LEAST_MASS) {
    warnings.push(
      `The judge puts only ${(100 * mass).toFixed(0)} % of its probability on the scores 0 to 7: ` +
        'it does not understand the form of the question.',
    );
  }
  if (Math.abs(lengthCorrelation) > MOST_LENGTH_CORRELATION) {
    const taste = lengthCorrelation > 0 ? 'long' : 'short';
    warnings.push(
      `The judge prefers ${taste} answers (correlation ${lengthCorrelation.toFixed(2)} with length).`,
    );
  }
  if (unscored > 0) warnings.push(`The judge gave no score to ${unscored} of ${total} answers.`);
  return warnings;
}

/** P(good > bad) + P(good = bad) / 2 over all pairs (Mann–Whitney); 0.5 if either side is empty. */
export function areaUnderCurve(good: readonly number[], bad: readonly number[]): number {
  if (good.length === 0 || bad.length === 0) return 0.5;
  let wins = 0;
  for (const g of good) for (const b of bad) wins += g > b ? 1 : g === b ? 0.5 : 0;
  return wins / (good.length * bad.length);
}

function pairwise(good: readonly (number | null)[], bad: readonly (number | null)[]): number {
  const both = good.flatMap((g, i) => (g === null || bad[i] === null ? [] : [[g, bad[i]!] as const]));
  return both.length === 0 ? 0.5 : mean(both.map(([g, b]) => (g > b ? 1 : g === b ? 0.5 : 0)));
}

/** Pearson correlation over the entries that have a score; 0 if either side does not vary. */
export function correlation(scores: readonly (number | null)[], lengths: readonly number[]): number {
  const points = scores.flatMap((score, i) => (score === null ? [] : [[score, lengths[i]!] as const]));
  const meanScore = mean(points.map(([score]) => score));
  const meanLength = mean(points.map(([, length]) => length));
  let covariance = 0;
  let scoreVariance = 0;
  let lengthVariance = 0;
  for (const [score, length] of points) {
    covariance += (score - meanScore) * (length - meanLength);
    scoreVariance += (score - meanScore) ** 2;
    lengthVariance += (length - meanLength) ** 2;
  }
  const scale = Math.sqrt(scoreVariance * lengthVariance);
  return scale === 0 ? 0 : covariance / scale;
}

function present(scores: readonly (number | null)[]): number[] {
  return scores.filter((score): score is number => score !== null);
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
