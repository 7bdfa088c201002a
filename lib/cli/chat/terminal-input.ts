/**
 * Messages from somebody at a terminal.
 *
 * The line editor stays in charge of the keyboard while an answer streams, so that Ctrl-C comes as a key and what is
 * typed ahead waits for the next prompt; its echo is held back meanwhile, which would else stand amid the answer.
 */
import { createInterface, type Interface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { printable } from '../output';

/** Lines that come faster than anybody types are one text that was pasted. */
const PASTE_MS = 30;

export interface TerminalInputOptions {
  input: NodeJS.ReadableStream;
  output: NodeJS.WritableStream & { columns?: number };
  /** Ctrl-C while no message is being read. */
  onInterrupt: () => void;
}

export class TerminalInput {
  readonly #editor: Interface;
  readonly #screen: Screen;
  readonly #onInterrupt: () => void;
  /** Lines that came and are not read yet. */
  #lines: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #reader: ((message: string | null) => void) | undefined;
  #closed = false;

  constructor({ input, output, onInterrupt }: TerminalInputOptions) {
    this.#screen = new Screen(output);
    this.#onInterrupt = onInterrupt;
    this.#editor = createInterface({ input, output: this.#screen, terminal: true, historySize: 1000 });
    this.#editor.on('line', (line) => {
      this.#lines.push(line);
      this.#settleSoon();
    });
    this.#editor.on('SIGINT', () => this.#interrupt());
    this.#editor.on('close', () => this.#end());
    this.#editor.on('error', () => this.#end()); // the terminal is gone
  }

  /** The next message, several lines if they were pasted together; null once the user or the signal ends it. */
  async read(prompt: string, signal: AbortSignal): Promise<string | null> {
    const abort = () => this.close();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await new Promise((resolve) => {
        this.#reader = resolve;
        if (this.#closed) {
          this.#deliver();
          return;
        }
        this.#screen.muted = false;
        this.#editor.setPrompt(prompt);
        if (this.#lines.length > 0) {
          this.#screen.write(`${prompt}${printable(this.#lines.join('\n'))}\n`); // what was typed unseen
          this.#settleSoon();
        }
        if (this.#lines.length === 0 || this.#editor.line !== '') this.#editor.prompt(true);
      });
    } finally {
      this.#screen.muted = true;
      signal.removeEventListener('abort', abort);
    }
  }

  /** Gives the terminal back. */
  close(): void {
    this.#editor.close();
  }

  #end(): void {
    // What comes after the chat begins on a line of its own.
    if (this.#reader && !this.#closed) this.#screen.write('\n');
    this.#closed = true;
    this.#deliver();
  }

  #settleSoon(): void {
    clearTimeout(this.#timer);
    // A last line without its line break is still being edited: the text ends where it is entered.
    this.#timer = setTimeout(() => {
      if (this.#editor.line === '') this.#deliver();
    }, PASTE_MS);
  }

  #deliver(): void {
    if (!this.#reader || (this.#lines.length === 0 && !this.#closed)) return;
    const message = this.#lines.length > 0 ? this.#lines.join('\n') : null;
    clearTimeout(this.#timer);
    this.#lines = [];
    this.#reader(message);
    this.#reader = undefined;
  }

  #interrupt(): void {
    const isReading = this.#reader !== undefined;
    if (isReading && this.#editor.line === '' && this.#lines.length === 0) {
      this.close();
      return;
    }
    this.#lines = [];
    clearTimeout(this.#timer);
    this.#editor.write(null, { ctrl: true, name: 'e' });
    this.#editor.write(null, { ctrl: true, name: 'u' });
    if (isReading) {
      this.#screen.write('^C\n');
      this.#editor.prompt();
    } else {
      this.#onInterrupt();
    }
  }
}

/** The terminal as the line editor sees it: it can be told to be silent. */
class Screen extends Writable {
  muted = false;

  constructor(private readonly target: NodeJS.WritableStream & { columns?: number }) {
    super({ decodeStrings: false });
    this.target.on('resize', () => this.emit('resize'));
  }

  get columns(): number | undefined {
    return this.target.columns;
  }

  override _write(text: string | Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    if (!this.muted) this.target.write(text);
    done();
  }
}
