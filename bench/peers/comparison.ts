/** Figures of several contenders from the same rounds, and what they say about ours. */

export interface Comparison {
  /** What was measured: `decode, 32 sequences`. */
  name: string;
  unit: string;
  better: 'higher' | 'lower';
  /** Of each contender one figure a round; null where it has none. */
  figures: Readonly<Record<string, readonly (number | null)[]>>;
}

export interface Spread {
  median: number;
  /** The least and the greatest. */
  low: number;
  high: number;
  /** How many there are. */
  rounds: number;
}

export interface Ratio {
  comparison: string;
  ours: string;
  peer: string;
  /** How many times as good ours is: above 1 it is faster, or takes less. */
  times: Spread;
}

/** Begins the names of our contenders. */
export const OURS = 'ours';

export const isOurs = (name: string): boolean => name.startsWith(OURS);

/** Of an even number of values the mean of the two in the middle. @throws RangeError without any */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('no figures');
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return { median, low: sorted[0]!, high: sorted.at(-1)!, rounds: sorted.length };
}

/** The figures that there are. */
export function present(figures: readonly (number | null)[]): number[] {
  return figures.filter((figure) => figure !== null);
}

/**
 * Each of ours against each peer. A round's figures were measured within minutes of each other, so that ratios are
 * taken within a round, and what the machine does from round to round cancels.
 */
export function ratiosOf({ name, better, figures }: Comparison): Ratio[] {
  const names = Object.keys(figures);
  return names.filter(isOurs).flatMap((ours) =>
    names
      .filter((peer) => !isOurs(peer))
      .flatMap((peer) => {
        const ratios = figures[ours]!.flatMap((figure, round) => {
          const other = figures[peer]![round] ?? null;
          if (figure === null || other === null) return [];
          return better === 'higher' ? figure / other : other / figure;
        });
        return ratios.length === 0 ? [] : { comparison: name, ours, peer, times: spreadOf(ratios) };
      }),
  );
}

/** Gathers figures round by round; a contender without a figure in a round has null there. */
export class Rounds {
  readonly #figures = new Map<string, (number | null)[]>();
  #round = -1;

  begin(): void {
    this.#round++;
  }

  add(contender: string, figure: number): void {
    const figures = this.#figures.get(contender) ?? [];
    while (figures.length < this.#round) figures.push(null);
    figures[this.#round] = figure;
    this.#figures.set(contender, figures);
  }

  figures(): Comparison['figures'] {
    return Object.fromEntries(
      [...this.#figures].map(([name, figures]) => [
        name,
        Array.from({ length: this.#round + 1 }, (_, round) => figures[round] ?? null),
      ]),
    );
  }
}
