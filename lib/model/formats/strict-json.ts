/**
 * A JSON parser for untrusted headers: refuses duplicate keys (JSON.parse keeps the last one, so two readers can
 * see two different files), nesting beyond a limit, and anything after the value. Objects come without a
 * prototype, so a key such as `__proto__` is a key like any other.
 */

export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

export interface JsonObject {
  [key: string]: JsonValue;
}

/** Raised with the character offset; callers wrap it in an LspError that names the file. */
export class JsonError extends Error {}

export function parseStrictJson(text: string, maxDepth = 32): JsonValue {
  const parser = new Parser(text, maxDepth);
  const value = parser.value(0);
  parser.end();
  return value;
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
/** Up to the next quote, escape or control character. */

const PLAIN = /[^"\\\u0000-\u001f]*/y;
const LITERALS: readonly [string, JsonValue][] = [
  ['true', true],
  ['false', false],
  ['null', null],
];

class Parser {
  #at = 0;

  constructor(
    private readonly text: string,
    private readonly maxDepth: number,
  ) {}

  value(depth: number): JsonValue {
    if (depth > this.maxDepth) this.#fail(`nesting deeper than ${this.maxDepth}`);
    this.#space();
    const first = this.text[this.#at];
    if (first === '{') return this.#object(depth);
    if (first === '[') return this.#array(depth);
    if (first === '"') return this.#string();
    for (const [word, value] of LITERALS) {
      if (this.text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return this.#number();
  }

  end(): void {
    this.#space();
    if (this.#at !== this.text.length) this.#fail('text after the end of the value');
  }

  #object(depth: number): JsonObject {
    const object = Object.create(null) as JsonObject;
    this.#at += 1;
    this.#space();
    if (this.#accept('}')) return object;
    do {
      this.#space();
      if (this.text[this.#at] !== '"') this.#fail('expected a key in quotes');
      const key = this.#string();
      if (key in object) this.#fail(`duplicate key ${JSON.stringify(key.slice(0, 100))}`);
      this.#space();
      if (!this.#accept(':')) this.#fail('expected a colon');
      object[key] = this.value(depth + 1);
      this.#space();
    } while (this.#accept(','));
    if (!this.#accept('}')) this.#fail('expected a comma or a closing brace');
    return object;
  }

  #array(depth: number): JsonValue[] {
    const array: JsonValue[] = [];
    this.#at += 1;
    this.#space();
    if (this.#accept(']')) return array;
    do {
      array.push(this.value(depth + 1));
      this.#space();
    } while (this.#accept(','));
    if (!this.#accept(']')) this.#fail('expected a comma or a closing bracket');
    return array;
  }

  #string(): string {
    const start = this.#at;
    let escaped = false;
    this.#at += 1;
    for (;;) {
      PLAIN.lastIndex = this.#at;
      PLAIN.exec(this.text);
      this.#at = PLAIN.lastIndex;
      const character = this.text[this.#at];
      if (character === '"') break;
      if (character !== '\\') this.#fail('unterminated string or control character in it');
      escaped = true;
      this.#at += 2;
    }
    this.#at += 1;
    if (!escaped) return this.text.slice(start + 1, this.#at - 1);
    try {
      return JSON.parse(this.text.slice(start, this.#at)) as string;
    } catch {
      return this.#fail('bad escape in a string');
    }
  }

  #number(): number {
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.text);
    if (!match) return this.#fail('expected a value');
    this.#at = NUMBER.lastIndex;
    return Number(match[0]);
  }

  #space(): void {
    for (;;) {
      const code = this.text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at += 1;
    }
  }

  #accept(character: string): boolean {
    if (this.text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #fail(what: string): never {
    throw new JsonError(`${what} at character ${Math.min(this.#at, this.text.length)}`);
  }
}
