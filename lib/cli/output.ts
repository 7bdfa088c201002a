/**
 * Where the commands write: lines for people, or with `--json` one JSON value a line on stdout and everything for
 * people on stderr. The progress bar is drawn on stderr, and only on a terminal.
 */
import { SingleBar } from 'cli-progress';
import picocolors from 'picocolors';

export interface Streams {
  stdout: NodeJS.WritableStream & { isTTY?: boolean };
  stderr: NodeJS.WritableStream & { isTTY?: boolean };
}

export class Output {
  readonly json: boolean;
  readonly #streams: Streams;
  readonly #colors: ReturnType<typeof picocolors.createColors>;
  #bar: SingleBar | undefined;
  #barText = '';
  #barFraction = 0;

  constructor(options: { json: boolean; streams?: Streams }) {
    this.json = options.json;
    this.#streams = options.streams ?? process;
    const target = this.json ? this.#streams.stderr : this.#streams.stdout;
    this.#colors = picocolors.createColors(target.isTTY === true && picocolors.isColorSupported);
  }

  /** A line of result for people. */
  line(text = ''): void {
    this.#above(() => (this.json ? this.#streams.stderr : this.#streams.stdout).write(`${text}\n`));
  }

  /** A remark for people that is not a result: on stderr always. */
  note(text: string): void {
    this.#above(() => this.#streams.stderr.write(`${text}\n`));
  }

  warn(text: string): void {
    this.note(this.#colors.yellow(`warning: ${text}`));
  }

  /** A machine-readable value; nothing without `--json`. */
  value(value: unknown): void {
    if (this.json) this.#above(() => this.#streams.stdout.write(`${JSON.stringify(value)}\n`));
  }

  /** Text as it is, without a line break: a streamed answer. */
  raw(text: string): void {
    this.#streams.stdout.write(text);
  }

  bold(text: string): string {
    return this.#colors.bold(text);
  }

  dim(text: string): string {
    return this.#colors.dim(text);
  }

  /** Whether there is a terminal for the progress bar; where there is none, long work tells of itself in lines. */
  get drawsProgress(): boolean {
    return this.#streams.stderr.isTTY === true;
  }

  /** Draws or moves the progress bar; `fraction` in [0, 1]. */
  progress(fraction: number, text: string): void {
    if (!this.drawsProgress) return;
    this.#barFraction = fraction;
    this.#barText = text;
    if (this.#bar) this.#bar.update(fraction, { text });
    else this.#startBar();
  }

  endProgress(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }

  #startBar(): void {
    this.#bar = new SingleBar({
      format: '{bar} {text}',
      barsize: 24,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      stream: this.#streams.stderr,
      clearOnComplete: true,
      hideCursor: true,
      // Signals are the commands' business: they end a run cleanly.
      gracefulExit: false,
      fps: 5,
    });
    this.#bar.start(1, this.#barFraction, { text: this.#barText });
  }

  /** Writes above the bar: takes it away, writes, draws it again. */
  #above(write: () => void): void {
    const drawn = this.#bar !== undefined;
    this.endProgress();
    write();
    if (drawn) this.#startBar();
  }
}

/** Without control characters other than line breaks and tabs: a model may write escape sequences. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, '');
}

/**
 * A model's text on one line of a terminal: control characters (a model may write escape sequences) and line breaks
 * become spaces, and what is too long is cut.
 */
export function oneLine(text: string, maxLength = 200): string {
  const plain = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  const characters = Array.from(plain);
  return characters.length <= maxLength ? plain : `${characters.slice(0, maxLength - 1).join('')}…`;
}

/** `1 h 02 min`, `12 min`, `45 s`, `0.8 s`. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** A share as people read it: `47.3 %`. */
export function percent(share: number, digits = 1): string {
  return `${(100 * share).toFixed(digits)} %`;
}
