/** Text from tokens as they arrive, never with half a character in it. */

const REPLACEMENT = '\ufffd';
/** Bytes that make no text (a random model's output) are given out as they are after this many tokens. */
const MAX_PENDING = 32;

/**
 * Tokens may end within a character, and some decoders look at neighbours (a leading space goes at the start only).
 * So each piece is the difference of two decodings: of the tokens from the last settled one on, with and without
 * the new ones. What ends in U+FFFD may still become something else and is held back.
 */
export class StreamDecoder {
  /** Tokens since the last settled point, of which the first `#context` are given out. */
  #ids: number[] = [];
  #context = 0;
  #given = '';

  constructor(private readonly decode: (ids: readonly number[]) => string) {}

  /** Adds tokens; returns the text that they settle, often ''. */
  push(ids: Int32Array | readonly number[]): string {
    this.#ids.push(...ids);
    const text = this.decode(this.#ids);
    const settled = text.replace(/\ufffd+$/, '');
    if (text.endsWith(REPLACEMENT) && this.#ids.length - this.#context <= MAX_PENDING) {
      return this.#giveOut(settled);
    }
    const piece = this.#giveOut(text);
    // Keep the tokens just given out as context for the next ones.
    this.#ids = this.#ids.slice(this.#context);
    this.#context = this.#ids.length;
    this.#given = this.decode(this.#ids);
    return piece;
  }

  /** What is left at the end, incomplete characters as U+FFFD. The decoder then starts afresh. */
  end(): string {
    const piece = this.#giveOut(this.decode(this.#ids));
    this.#ids = [];
    this.#context = 0;
    this.#given = '';
    return piece;
  }

  #giveOut(text: string): string {
    if (!text.startsWith(this.#given)) return '';
    const piece = text.slice(this.#given.length);
    this.#given = text;
    return piece;
  }
}
