/**
 * Whether a line looks like an assert on plain data, without a parser of Python: so that one bad line of a small model
 * does not spoil the good ones beside it. The sandbox has the last word (assets/sandbox/plain.py).
 */

/** Strings, numbers, names, and the signs of literals, arithmetic and comparison. */
const TOKEN =
  /\s+|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+(?:\.\d*)?(?:e[-+]?\d+)?|[A-Za-z_]\w*|[=!<>]=|[()[\]{},:+\-*/%<>]/y;

const NAMES = new Set(
  (
    'True False None and or not in is ' +
    'abs all any bool dict float int len list max min range round set sorted str sum tuple'
  ).split(' '),
);

const CLOSING: Readonly<Record<string, string>> = { ')': '(', ']': '[', '}': '{' };

/** Tokens that are all known (a lone `=` is not), brackets that match, no name but the function's and pure built-ins. */
export function looksPlain(assertion: string, entryPoint: string): boolean {
  const tokens = tokensOf(assertion.replace(/^assert\b/, ''));
  if (tokens === null) return false;
  const open: string[] = [];
  for (const token of tokens) {
    if ('([{'.includes(token)) open.push(token);
    else if (token in CLOSING && open.pop() !== CLOSING[token]) return false;
    else if (/^[A-Za-z_]/.test(token) && token !== entryPoint && !NAMES.has(token)) return false;
  }
  return open.length === 0 && tokens.length > 0;
}

function tokensOf(text: string): string[] | null {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined) return null;
    if (token.trim() !== '') tokens.push(token);
  }
  return tokens;
}
