/**
 * Near-duplicates: a Challenger that finds one query which pays well writes it again and again.
 *
 * Similarity is the Jaccard index over words and pairs of neighbouring words: cheap, symmetric, without a model, and
 * blind to case, punctuation and spacing.
 */

/** Lower-cased words and neighbouring pairs of a text. */
export function features(text: string): Set<string> {
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const result = new Set<string>(words);
  for (let i = 1; i < words.length; i++) result.add(`${words[i - 1]} ${words[i]}`);
  return result;
}

/** |a ∩ b| / |a ∪ b|; 1 for two texts without a word. */
export function similarity(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  let shared = 0;
  for (const feature of a) if (b.has(feature)) shared++;
  const union = a.size + b.size - shared;
  return union === 0 ? 1 : shared / union;
}

/** Near-duplicates among texts that are each prepared once. */
export interface Likeness {
  /** What is compared of a text. */
  readonly of: (text: string) => Set<string>;
  readonly alike: (a: ReadonlySet<string>, b: ReadonlySet<string>) => boolean;
}

/**
 * Near-duplicates from a similarity of `threshold` on. At 1 only the same text is alike, blanks aside: where queries are
 * short, two different ones may well have the same words ("7 + 4", "7 - 4").
 */
export function likeness(threshold: number): Likeness {
  const whole = (text: string) => new Set([text.replace(/\s+/g, ' ').trim()]);
  return {
    of: threshold === 1 ? whole : features,
    alike: (a, b) => similarity(a, b) >= threshold,
  };
}

/**
 * Clusters of near-duplicates within a batch (single linkage): texts that are alike, directly or through others, get
 * the same number, which is the index of the cluster's first text.
 */
export function clusters(texts: readonly string[], threshold: number): number[] {
  const { of, alike } = likeness(threshold);
  const compared = texts.map(of);
  const parent = texts.map((_, i) => i);
  const root = (i: number): number => (parent[i] === i ? i : root(parent[i]!));
  for (let i = 0; i < texts.length; i++) {
    for (let j = 0; j < i; j++) {
      if (!alike(compared[i]!, compared[j]!)) continue;
      const [a, b] = [root(i), root(j)];
      parent[Math.max(a, b)] = Math.min(a, b);
    }
  }
  return texts.map((_, i) => root(i));
}

/** For each text, how many of the earlier ones are near-duplicates of it. */
export function countSeenBefore(
  texts: readonly string[],
  history: readonly string[],
  threshold: number,
): number[] {
  const { of, alike } = likeness(threshold);
  const earlier = history.map(of);
  return texts.map((text) => {
    const own = of(text);
    return earlier.reduce((count: number, other) => count + (alike(own, other) ? 1 : 0), 0);
  });
}
