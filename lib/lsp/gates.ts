/**
 * Gates: what is thrown out before anybody spends tokens on answering it.
 *
 * Later work on self-play finds that a strict gate matters more than the formula of the reward. Each gate is a
 * function of a batch; `allOf` chains them.
 */
import { checkOptions, expectArray, expectInteger, expectNumber, invalid } from '../options';
import { features, likeness, similarity } from './duplicates';
import { TASK_EXAMPLES } from './prompts';
import type { Gate, Query } from './types';

/** Lets everything pass. */
export const openGate: Gate = (queries) => queries.map(() => null);

/** Gates in order; each sees only what those before let pass, and the first cause counts. */
export function allOf(...gates: Gate[]): Gate {
  return async (queries, context) => {
    const causes: (string | null)[] = queries.map(() => null);
    for (const gate of gates) {
      const open = causes.flatMap((cause, i) => (cause === null ? [i] : []));
      const found = await gate(
        open.map((i) => queries[i]!),
        context,
      );
      if (found.length !== open.length)
        throw invalid('gate', `${open.length} verdicts from each gate`, found);
      open.forEach((i, k) => (causes[i] = found[k] ?? null));
    }
    return causes;
  };
}

/** A gate from a test of one query: the cause of its rejection, or null. */
export function gateFrom(test: (query: Query) => string | null): Gate {
  return (queries) => queries.map(test);
}

export interface LengthGateOptions {
  /** Least and most words of what the Challenger wrote. Default 3 and 60. */
  minWords?: number;
  maxWords?: number;
}

/** Causes 'too-short' and 'too-long'. */
export function lengthGate(options: LengthGateOptions = {}): Gate {
  const checked = checkOptions(options, ['minWords', 'maxWords'], 'lengthGate');
  const minWords = expectInteger('minWords', checked.minWords ?? 3, { min: 0 });
  const maxWords = expectInteger('maxWords', checked.maxWords ?? 60, { min: minWords });
  return gateFrom(({ core }) => {
    const count = words(core).length;
    if (count < minWords) return 'too-short';
    return count > maxWords ? 'too-long' : null;
  });
}

/** Cause 'repetitive': fewer than half of the words are different ones (texts of eight words or more). */
export const repetitionGate: Gate = gateFrom(({ core }) => {
  const all = words(core);
  return all.length >= 8 && new Set(all).size < all.length / 2 ? 'repetitive' : null;
});

/** Cause 'markup': chat markup, template syntax or role labels, which a model copies from its prompt. */
export const markupGate: Gate = gateFrom(({ core }) =>
  /<\||\|>|<\/?s>|\[\/?INST\]|\{\{|\}\}|^(?:user|assistant|system)\b\s*:?/i.test(core) ? 'markup' : null,
);

/** Cause 'language': fewer than `share` (default 0.9) of the letters are of the script (default Latin). */
export function scriptGate(options: { script?: string; share?: number } = {}): Gate {
  const checked = checkOptions(options, ['script', 'share'], 'scriptGate');
  const share = expectNumber('share', checked.share ?? 0.9, { min: 0, max: 1 });
  const pattern = scriptPattern(checked.script ?? 'Latin');
  return gateFrom(({ core }) => {
    const letters = core.match(/\p{L}/gu) ?? [];
    const inScript = letters.filter((letter) => pattern.test(letter)).length;
    return letters.length === 0 || inScript < share * letters.length ? 'language' : null;
  });
}

function scriptPattern(script: string): RegExp {
  try {
    return new RegExp(`^\\p{Script=${script}}$`, 'u');
  } catch {
    throw invalid('script', 'a Unicode script such as Latin or Cyrillic', script);
  }
}

/** Cause 'copied': a near-duplicate (default similarity 0.7) of a text the Challenger was shown. */
export function copyGate(shown: readonly string[], threshold = 0.7): Gate {
  expectArray('shown', shown);
  expectNumber('threshold', threshold, { above: 0, max: 1 });
  const sets = shown.map(features);
  return gateFrom(({ core }) => {
    const own = features(core);
    return sets.some((set) => similarity(own, set) >= threshold) ? 'copied' : null;
  });
}

/**
 * Causes 'duplicate' (of an earlier query of the batch that passed) and 'seen-before' (in the history), at a
 * similarity of `threshold` (default 0.85) or more; at 1 only the same text counts.
 */
export function duplicateGate(options: { threshold?: number } = {}): Gate {
  const checked = checkOptions(options, ['threshold'], 'duplicateGate');
  const threshold = expectNumber('threshold', checked.threshold ?? 0.85, { above: 0, max: 1 });
  const { of, alike } = likeness(threshold);
  return (queries, { history }) => {
    const earlier = history.map(of);
    const passed: Set<string>[] = [];
    return queries.map(({ core }) => {
      const own = of(core);
      if (earlier.some((other) => alike(own, other))) return 'seen-before';
      if (passed.some((other) => alike(own, other))) return 'duplicate';
      passed.push(own);
      return null;
    });
  };
}

/** What the presets use: length, markup, repetition, script, copies of the examples, duplicates. */
export function defaultGate(): Gate {
  return allOf(
    lengthGate(),
    markupGate,
    repetitionGate,
    scriptGate(),
    copyGate(TASK_EXAMPLES.map(({ task }) => task)),
    duplicateGate(),
  );
}

function words(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}
