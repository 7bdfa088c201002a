/** Stop strings: found in decoded text, also where one spans several tokens. */
import type { StreamDecoder } from './stream-decoder';

/** Text of one sequence as its tokens arrive, watched for stop strings. */
export class StopWatcher {
  #text = '';
  #tokens = 0;
  #match: { textLength: number; tokens: number } | undefined;
  readonly #longest: number;

  constructor(
    private readonly stops: readonly string[],
    private readonly decoder: StreamDecoder,
  ) {
    this.#longest = Math.max(0, ...stops.map((stop) => stop.length));
  }

  /** Adds a token; true once a stop string is complete. */
  push(token: number): boolean {
    if (this.#match) return true;
    this.#tokens += 1;
    return this.#append(this.decoder.push([token]));
  }

  /** Adds what the decoder held back at the end of the tokens. */
  end(): boolean {
    return this.#match !== undefined || this.#append(this.decoder.end());
  }

  /** Where the text ends and how many tokens it took to know, if a stop string was found. */
  get match(): { textLength: number; tokens: number } | undefined {
    return this.#match;
  }

  /** The text so far, cut at the stop string. */
  get text(): string {
    return this.#text;
  }

  /** Length of the text that no later token can turn into a part of a stop string. */
  get safeLength(): number {
    if (this.#match) return this.#text.length;
    for (let length = Math.min(this.#longest - 1, this.#text.length); length > 0; length -= 1) {
      const tail = this.#text.slice(this.#text.length - length);
      if (this.stops.some((stop) => stop.startsWith(tail))) return this.#text.length - length;
    }
    return this.#text.length;
  }

  #append(piece: string): boolean {
    if (piece === '') return false;
    const searchFrom = Math.max(0, this.#text.length - this.#longest + 1);
    this.#text += piece;
    let first = Infinity;
    for (const stop of this.stops) {
      const found = this.#text.indexOf(stop, searchFrom);
      if (found >= 0) first = Math.min(first, found);
    }
    if (first === Infinity) return false;
    this.#text = this.#text.slice(0, first);
    this.#match = { textLength: first, tokens: this.#tokens };
    return true;
  }
}
