/**
 * Reward by agreement: the answers of one query vote, and an answer is paid for saying what most of them say. It
 * needs no reference answer (Language self-questioning, arXiv 2508.03682; R-Zero, arXiv 2508.05004). It rewards
 * confidence, not truth: watch it with a probe that knows the truth.
 */
import { checkOptions, expectFunction, expectOneOf } from '../options';
import type { Reward, Sample } from './reward';

export interface MajorityVoteOptions {
  /**
   * What an answer says, in a form that is equal for equal answers; null abstains from the vote and scores 0.
   * Default: `normalizeAnswer`.
   */
  extract?: (answer: string, sample: Sample) => string | null;
  /**
   * 'match' (default): 1 for the answers of the largest camp, 0 for the others. 'share': each answer gets its camp's
   * share of the query's answers.
   */
  score?: 'match' | 'share';
}

/**
 * Groups samples by `queryIndex`. Of several largest camps of equal size, the one whose first answer comes first
 * wins. Where no answer of a query could be read, all of them abstain.
 */
export class MajorityVote implements Reward {
  readonly name = 'majority-vote';
  readonly #extract: (answer: string, sample: Sample) => string | null;
  readonly #score: 'match' | 'share';

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(options: MajorityVoteOptions = {}) {
    checkOptions(options, ['extract', 'score'], 'MajorityVote');
    this.#extract = expectFunction('extract', options.extract ?? normalizeAnswer);
    this.#score = expectOneOf('score', options.score ?? 'match', ['match', 'share']);
  }

  score(samples: readonly Sample[]): (number | null)[] {
    const votes = samples.map((sample) => this.#extract(sample.answer, sample));
    const groups = new Map<number, number[]>();
    samples.forEach(({ queryIndex }, index) => {
      const members = groups.get(queryIndex);
      if (members) members.push(index);
      else groups.set(queryIndex, [index]);
    });
    const scores: (number | null)[] = samples.map(() => null);
    for (const members of groups.values()) {
      const { winner, counts } = countVotes(members.map((index) => votes[index] ?? null));
      if (winner === null) continue;
      for (const index of members) {
        const vote = votes[index] ?? null;
        if (vote === null) scores[index] = 0;
        else if (this.#score === 'match') scores[index] = vote === winner ? 1 : 0;
        else scores[index] = counts.get(vote)! / members.length;
      }
    }
    return scores;
  }
}

export interface VoteCount {
  /** The most frequent vote (the earliest of equals); null if nobody voted. */
  winner: string | null;
  /** Votes by answer, in order of first appearance. */
  counts: Map<string, number>;
  /** Share of the winner among all, those who did not vote included; 0 if nobody voted. */
  share: number;
}

/** Counts the votes of one group; null is an answer that does not vote. */
export function countVotes(votes: readonly (string | null)[]): VoteCount {
  const counts = new Map<string, number>();
  for (const vote of votes) {
    if (vote !== null) counts.set(vote, (counts.get(vote) ?? 0) + 1);
  }
  let winner: string | null = null;
  for (const [vote, count] of counts) {
    if (winner === null || count > counts.get(winner)!) winner = vote;
  }
  return { winner, counts, share: winner === null ? 0 : counts.get(winner)! / votes.length };
}

/**
 * Folds what should not matter: Unicode form (NFKC), case, white space, and punctuation at both ends. A lone number
 * loses its thousands separators and trailing zeros ("1,200.50" and "1200.5" agree). null for an empty answer.
 */
export function normalizeAnswer(answer: string): string | null {
  const folded = answer.normalize('NFKC').toLowerCase().replace(/\s+/gu, ' ');
  const core = folded
    .replace(/^(?:[\s"'“”‘’`*_([{,;:!?]|\.(?!\d))+/u, '')
    .replace(/[\s"'“”‘’`*_)\]}.,;:!?]+$/u, '');
  if (core === '') return null;
  if (!/^[-+]?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?$/.test(core)) return core;
  const [whole = '', fraction = ''] = core.replace(/,/g, '').replace(/^\+/, '').split('.');
  const digits = whole.replace(/^(-?)0+(?=\d)/, '$1');
  const decimals = fraction.replace(/0+$/, '');
  const value = decimals === '' ? digits : `${digits}.${decimals}`;
  return value === '-0' ? '0' : value;
}
