/**
 * Whether a regular expression can take exponential time. The tokenizer library gives up on such a search by ending
 * the whole process, so a pattern of a model file is looked at first.
 */

/** A group under construction: what makes repeating it dangerous. */
interface Group {
  alternates: boolean;
  repeats: boolean;
}

/**
 * True if a group that is repeated without bound has alternatives or an inner repetition without bound, as in
 * `(a+)+` or `(a|ab)*`: then one text can be cut up in exponentially many ways. Stricter than need be (alternatives
 * that exclude each other are harmless); no tokenizer in use is known to have such a group.
 */
export function mayBacktrackForever(pattern: string): boolean {
  const stack: Group[] = [{ alternates: false, repeats: false }];
  for (let at = 0; at < pattern.length;) {
    const character = pattern[at]!;
    let closed: Group | undefined;
    if (character === '(') {
      stack.push({ alternates: false, repeats: false });
      at = afterGroupHead(pattern, at);
      continue;
    }
    if (character === '|') {
      stack[stack.length - 1]!.alternates = true;
      at += 1;
      continue;
    }
    if (character === '\\') at = afterEscape(pattern, at);
    else if (character === '[') at = afterClass(pattern, at);
    else at += 1;
    if (character === ')' && stack.length > 1) {
      closed = stack.pop()!;
      // What repeats inside also repeats in the group around.
      stack[stack.length - 1]!.repeats ||= closed.repeats;
    }
    for (let quantifier = quantifierAt(pattern, at); quantifier; quantifier = quantifierAt(pattern, at)) {
      at += quantifier.length;
      if (!quantifier.unbounded) continue;
      if (closed && (closed.alternates || closed.repeats)) return true;
      stack[stack.length - 1]!.repeats = true;
    }
  }
  return false;
}

/** Behind `(`, `(?:`, `(?i:`, `(?<name>`, `(?=` and the like. */
function afterGroupHead(pattern: string, at: number): number {
  const head = /^\((?:\?(?:<[A-Za-z_]\w*>|[a-zA-Z-]*:|<?[=!]|>|[a-zA-Z-]+(?=\))))?/.exec(
    pattern.slice(at, at + 64),
  );
  return at + (head?.[0].length ?? 1);
}

function afterEscape(pattern: string, at: number): number {
  const braced = /^\\[pPxk][{<][^}>]*[}>]/.exec(pattern.slice(at, at + 64));
  return at + (braced?.[0].length ?? 2);
}

/** Behind a character class, which may hold further classes. */
function afterClass(pattern: string, start: number): number {
  let depth = 0;
  for (let at = start; at < pattern.length; at += 1) {
    const character = pattern[at];
    if (character === '\\') at += 1;
    else if (character === '[') depth += 1;
    else if (character === ']') depth -= 1;
    if (depth === 0) return at + 1;
  }
  return pattern.length;
}

/** Repetitions of at most so many times count as bounded. */
const BOUNDED_TIMES = 8;

function quantifierAt(pattern: string, at: number): { length: number; unbounded: boolean } | undefined {
  const match = /^(?:[*+?]|\{(\d*)(,?)(\d*)\})/.exec(pattern.slice(at, at + 32));
  if (!match) return undefined;
  const [text, min, comma, max] = match;
  if (text === '?') return { length: 1, unbounded: false };
  if (text === '*' || text === '+') return { length: 1, unbounded: true };
  const most = comma === '' ? Number(min) : max === '' ? Infinity : Number(max);
  return { length: text.length, unbounded: most > BOUNDED_TIMES };
}
