/**
 * Whether a regular expression of a model file is safe to run. The tokenizer library's regex engine (Oniguruma) gives
 * up on a search after ten million retries, and the library then ends the whole process; so a pattern is bounded
 * before it is used.
 *
 * The bound: a pattern is read into alternatives of items, and each item counted by the ways in which it can match at
 * one place and by its repetitions without bound. Ways multiply along an alternative. What nothing can fail behind is
 * never retried and counts for nothing: the last item, and those before it that are followed only by optional ones.
 * Allowed are one repetition that may be retried (a retry per character of the text) and few ways. The patterns of
 * GPT-2, GPT-4o, Llama 3, Qwen and DeepSeek are far below; whatever is not understood here is refused.
 */

export interface PatternFacts {
  /** Why it is refused, if it is: it does not parse, or could take too long, or has a part that is not known here. */
  problem?: 'malformed' | 'slow' | 'unknown';
  /** It may match without taking a character. */
  matchesEmpty: boolean;
}

/** Product of all choices along an alternative. GPT-4o's pattern, the largest in use known here, has about ten. */
const MAX_WAYS = 256;
/** Repetitions that may be retried along an alternative; two make four thousand equal characters fatal. */
const MAX_RETRIED = 1;
/** A finite number of times above this counts as without bound. */
const BOUNDED_TIMES = 8;
const MAX_DEPTH = 64;

/** Looks at a pattern without running it. */
export function examinePattern(pattern: string): PatternFacts {
  try {
    const root = new PatternParser(pattern).parse();
    const { ways, retried } = costOfBranches(root, true);
    const matchesEmpty = root.some((branch) => branch.every(takesNothing));
    return ways > MAX_WAYS || retried > MAX_RETRIED ? { problem: 'slow', matchesEmpty } : { matchesEmpty };
  } catch (error) {
    if (error instanceof PatternProblem) return { problem: error.kind, matchesEmpty: true };
    throw error;
  }
}

class PatternProblem extends Error {
  constructor(readonly kind: 'malformed' | 'unknown') {
    super(kind);
  }
}

/** One element of an alternative, with how often it is repeated. */
interface Item {
  /** A character, a class or an anchor has no branches; a group has. */
  branches?: Item[][];
  /** Anchors and lookarounds take no characters. */
  zeroWidth: boolean;
  /** A lookaround may fail even if what is in it cannot. */
  lookaround: boolean;
  min: number;
  max: number;
}

interface Cost {
  /** Ways to match at one place, repetitions without bound left out. */
  ways: number;
  /** Repetitions without bound that may be retried one inside or behind the other. */
  retried: number;
}

function costOfBranches(branches: readonly Item[][], last: boolean): Cost {
  const costs = branches.map((branch) => costOfBranch(branch, last));
  return {
    ways: costs.reduce((sum, { ways }) => sum + ways, 0),
    retried: Math.max(...costs.map(({ retried }) => retried)),
  };
}

/** @param last nothing that could fail comes behind the branch */
function costOfBranch(branch: readonly Item[], last: boolean): Cost {
  const total: Cost = { ways: 1, retried: 0 };
  let nothingFailsBehind = last;
  for (const item of [...branch].reverse()) {
    const { ways, retried } = costOfItem(item, nothingFailsBehind);
    total.ways *= ways;
    total.retried += retried;
    nothingFailsBehind &&= neverFails(item);
  }
  return total;
}

function costOfItem(item: Item, last: boolean): Cost {
  const { min, max } = item;
  const once = max <= 1;
  const inner = item.branches
    ? costOfBranches(item.branches, last && once && !item.lookaround)
    : { ways: 1, retried: 0 };
  const variable = inner.ways > 1 || inner.retried > 0;
  if (last && min <= 1) {
    if (once) return inner;
    // Ends with the first time that it does not match; what may be retried is within one time.
    return { ways: 1, retried: variable ? inner.retried + 1 : 0 };
  }
  if (max > BOUNDED_TIMES) {
    if (variable) return { ways: Infinity, retried: Infinity };
    return { ways: 1, retried: min === max ? 0 : 1 };
  }
  let ways = 0;
  for (let times = min; times <= max; times += 1) ways += inner.ways ** times;
  return { ways, retried: inner.retried * max };
}

function neverFails(item: Item): boolean {
  if (item.min === 0) return true;
  if (item.lookaround || !item.branches) return false;
  return item.branches.some((branch) => branch.every(neverFails));
}

function takesNothing(item: Item): boolean {
  if (item.zeroWidth || item.min === 0) return true;
  return item.branches?.some((branch) => branch.every(takesNothing)) ?? false;
}

/** Heads of groups: capturing, named, plain, with flags, atomic, lookahead, lookbehind. Flags alone (`(?i)`) are not. */
const GROUP_HEAD = /\((?:\?(?:<[A-Za-z_]\w*>|[ims]*(?:-[ims]+)?:|>|(?<look><?[=!])))?(?!\?)/y;
/** Escapes of one character, and such with a name or a code. */
const ESCAPE = /\\(?:[pP]\{\^?[\w ]+\}|x\{[0-9A-Fa-f]+\}|[sSdDwWpPhHnrtfvaexubBAzZ]|[^A-Za-z0-9])/suy;
const ANCHOR = /^(?:[$^]|\\[bBAzZ])$/;
const NAMED_CLASS = /\[:\^?[a-z]+:\]/y;
const INTERVAL = /\{(?:(\d+)(,?)(\d*)|(,)(\d+))\}/y;
/** Flags for the whole pattern, which Oniguruma takes for a group from there on. */
const LEADING_FLAGS = /\(\?[ims]+\)/y;

class PatternParser {
  private at = 0;

  constructor(private readonly pattern: string) {}

  parse(): Item[][] {
    this.take(LEADING_FLAGS);
    const branches = this.branches(0);
    if (this.at < this.pattern.length) throw new PatternProblem('malformed');
    return branches;
  }

  private take(expression: RegExp): RegExpExecArray | null {
    expression.lastIndex = this.at;
    const match = expression.exec(this.pattern);
    if (match) this.at += match[0].length;
    return match;
  }

  /** Up to the end or an unmatched `)`. */
  private branches(depth: number): Item[][] {
    if (depth > MAX_DEPTH) throw new PatternProblem('unknown');
    const branches: Item[][] = [[]];
    while (this.at < this.pattern.length && this.pattern[this.at] !== ')') {
      if (this.pattern[this.at] === '|') {
        this.at += 1;
        branches.push([]);
      } else {
        branches[branches.length - 1]!.push(this.quantified(this.single(depth)));
      }
    }
    return branches;
  }

  private single(depth: number): Item {
    const item: Item = { zeroWidth: false, lookaround: false, min: 1, max: 1 };
    const start = this.at;
    const character = this.pattern[start];
    if (character === '(') {
      const head = this.take(GROUP_HEAD);
      if (!head || this.pattern[this.at] === '*') throw new PatternProblem('unknown');
      item.zeroWidth = item.lookaround = head.groups?.['look'] !== undefined;
      item.branches = this.branches(depth + 1);
      if (this.pattern[this.at] !== ')') throw new PatternProblem('malformed');
      this.at += 1;
    } else if (character === '\\') {
      this.escape();
    } else if (character === '[') {
      this.characterClass();
    } else {
      this.at += 1;
    }
    if (ANCHOR.test(this.pattern.slice(start, this.at))) item.zeroWidth = true;
    return item;
  }

  /** An item with the quantifiers behind it. `?+`, `*+`, `++` and `??`, `*?`, `+?` repeat no further than `?`, `*`, `+`. */
  private quantified(item: Item): Item {
    for (let result = item; ;) {
      const sign = this.pattern[this.at];
      let range: [number, number];
      if (sign === '?' || sign === '*' || sign === '+') {
        this.at += 1;
        if (this.pattern[this.at] === '+' || this.pattern[this.at] === '?') this.at += 1;
        range = [sign === '+' ? 1 : 0, sign === '?' ? 1 : Infinity];
      } else {
        const match = this.take(INTERVAL);
        if (!match) return result;
        range = intervalRange(match);
      }
      const fresh = result.max === 1 && result.min === 1;
      const repeated = fresh
        ? result
        : { ...item, branches: [[result]], zeroWidth: false, lookaround: false };
      result = { ...repeated, min: range[0], max: range[1] };
    }
  }

  private escape(): void {
    // Others are back references, calls of groups, or unknown.
    if (!this.take(ESCAPE))
      throw new PatternProblem(this.at + 1 < this.pattern.length ? 'unknown' : 'malformed');
  }

  /** Behind a class, which may hold further classes. */
  private characterClass(): void {
    let depth = 0;
    while (this.at < this.pattern.length) {
      const character = this.pattern[this.at];
      if (character === '\\') {
        this.escape();
        continue;
      }
      if (character === '[') {
        if (this.take(NAMED_CLASS)) continue;
        // A bracket right behind the opening one is a character or an empty class, as the engine finds best.
        if (/^\[(?:\^?\]|:)/.test(this.pattern.slice(this.at, this.at + 3)))
          throw new PatternProblem('unknown');
        depth += 1;
      } else if (character === ']') {
        depth -= 1;
      }
      this.at += 1;
      if (depth === 0) return;
    }
    throw new PatternProblem('malformed');
  }
}

function intervalRange([, min, comma, max, , most]: RegExpExecArray): [number, number] {
  if (most !== undefined) return [0, Number(most)];
  const low = Number(min);
  const high = comma === '' ? low : max === '' ? Infinity : Number(max);
  if (low > high) throw new PatternProblem('unknown');
  return [low, high];
}
