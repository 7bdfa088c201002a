/**
 * From messages to token ids so that message text never becomes a special token.
 *
 * The rendered text is what people and reference implementations see; ordinarily it is encoded whole, special
 * tokens parsed. What must be known is which special-token texts in it were written by the template. So the
 * messages are rendered a second time in disguise: each character that special tokens are made of is replaced, in
 * message text, by a stand-in from the private-use area (same length, and white space is left alone, so templates
 * that trim or slice do the same to it). In that rendering only the template can have written a special token.
 * If both renderings show the same special tokens, the messages added none and the whole text is encoded at once.
 * Otherwise the text is cut at the template's own special tokens and everything between is encoded as plain text.
 */
import { LspError } from '../errors';
import type { ChatMessage } from './types';

/** A special token written by the template: half-open range in the rendered text. */
export interface SpecialSpan {
  start: number;
  end: number;
  text: string;
}

export type ChatPlan =
  /** Encode with special tokens parsed. */
  | { kind: 'whole'; text: string }
  /** Encode what lies between the spans as plain text. */
  | { kind: 'split'; text: string; spans: SpecialSpan[] };

type Render = (messages: readonly ChatMessage[]) => string;

const PRIVATE_USE_START = 0xe000;
const PRIVATE_USE_END = 0xf8ff;
const PRIVATE_USE = /[\ue000-\uf8ff]/;

export class ChatEncoder {
  readonly #tokens: RegExp | undefined;
  /** UTF-16 code units of the special tokens, but white space. */
  readonly #alphabet: number[];
  readonly #lowerTexts: string[];

  /** @param controls texts of the special tokens */
  constructor(controls: Iterable<string>) {
    const texts = [...controls].sort((a, b) => b.length - a.length);
    // Alternatives in order of length: the longest token at the leftmost place, as tokenizers match.
    this.#tokens = texts.length > 0 ? new RegExp(texts.map(escapeRegExp).join('|'), 'g') : undefined;
    this.#lowerTexts = texts.map((text) => text.toLowerCase());
    const units = new Set<number>();
    for (const text of texts) {
      for (let index = 0; index < text.length; index += 1) {
        if (!/\s/.test(text[index]!)) units.add(text.charCodeAt(index));
      }
    }
    this.#alphabet = [...units];
  }

  /** @throws LspError INVALID_CHAT_TEMPLATE if the template hides where a special token came from */
  plan(messages: readonly ChatMessage[], render: Render): ChatPlan {
    const text = render(messages);
    if (!this.#tokens) return { kind: 'whole', text };
    const disguise = new Disguise(this.#alphabet, [text, ...messages.map(({ content }) => content)]);
    const present = this.#spans(text);
    const disguised = attempt(() => render(messages.map((message) => disguise.message(message))));
    const ofTemplate = disguised === undefined ? undefined : this.#spans(disguised);
    if (ofTemplate && sameTokens(present, ofTemplate)) return { kind: 'whole', text };
    if (ofTemplate && disguise.undo(disguised!) === text) return { kind: 'split', text, spans: ofTemplate };
    // The template looks into the messages (upper case, splitting at a marker …), so that the disguise changes what
    // it does. Disguise only what looks like a special token, or like a part of one that neighbours could complete.
    const light = attempt(() => render(messages.map((message) => this.#disguiseTokens(message, disguise))));
    if (light !== undefined && disguise.undo(light) === text) {
      const spans = this.#spans(light);
      return sameTokens(present, spans) ? { kind: 'whole', text } : { kind: 'split', text, spans };
    }
    throw new LspError(
      'INVALID_CHAT_TEMPLATE',
      'Expected a chat template that leaves message text as it is for messages that spell out special tokens.',
      { remedy: 'Remove the special-token text from the messages, or simplify the template.' },
    );
  }

  #spans(text: string): SpecialSpan[] {
    return Array.from(text.matchAll(this.#tokens!), (match) => ({
      start: match.index,
      end: match.index + match[0].length,
      text: match[0],
    }));
  }

  #disguiseTokens(message: ChatMessage, disguise: Disguise): ChatMessage {
    const { content } = message;
    const lower = content.toLowerCase();
    // Case folding that changes lengths would shift positions; such text is disguised whole.
    if (lower.length !== content.length) return disguise.message(message);
    const first = content.length - content.trimStart().length;
    const last = content.trimEnd().length;
    const ranges: [number, number][] = [];
    for (const token of this.#lowerTexts) {
      if (token.includes(lower.slice(first, last))) return disguise.message(message);
      for (let at = lower.indexOf(token); at >= 0; at = lower.indexOf(token, at + 1))
        ranges.push([at, at + token.length]);
      for (let length = 1; length < token.length; length += 1) {
        if (lower.startsWith(token.slice(-length), first)) ranges.push([first, first + length]);
        if (lower.endsWith(token.slice(0, length), last)) ranges.push([last - length, last]);
      }
    }
    const units = content.split('');
    for (const [start, end] of ranges)
      for (let at = start; at < end; at += 1) units[at] = disguise.unit(content[at]!);
    return { ...message, content: units.join('') };
  }
}

function sameTokens(a: readonly SpecialSpan[], b: readonly SpecialSpan[]): boolean {
  return a.length === b.length && a.every((span, index) => span.text === b[index]!.text);
}

function attempt(run: () => string): string | undefined {
  try {
    return run();
  } catch {
    return undefined; // the undisguised rendering succeeded: the template only stumbles over the disguise
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}

/** One-to-one stand-ins, none of which occurs in the texts. */
class Disguise {
  readonly #to = new Map<number, string>();
  readonly #from = new Map<string, string>();

  constructor(alphabet: readonly number[], texts: readonly string[]) {
    const taken = new Set<number>();
    for (const text of texts) {
      if (!PRIVATE_USE.test(text)) continue;
      for (let index = 0; index < text.length; index += 1) taken.add(text.charCodeAt(index));
    }
    let next = PRIVATE_USE_START;
    for (const unit of alphabet) {
      while (taken.has(next) || alphabet.includes(next)) next += 1;
      if (next > PRIVATE_USE_END) {
        throw new LspError(
          'INVALID_ARGUMENT',
          'Expected messages that leave some private-use characters unused.',
        );
      }
      const standIn = String.fromCharCode(next++);
      this.#to.set(unit, standIn);
      this.#from.set(standIn, String.fromCharCode(unit));
    }
  }

  message(message: ChatMessage): ChatMessage {
    let content = '';
    for (let index = 0; index < message.content.length; index += 1) {
      content += this.unit(message.content[index]!);
    }
    return { ...message, content };
  }

  /** The stand-in of one UTF-16 code unit, or itself. */
  unit(unit: string): string {
    return this.#to.get(unit.charCodeAt(0)) ?? unit;
  }

  undo(text: string): string {
    return text.replace(/[\ue000-\uf8ff]/g, (character) => this.#from.get(character) ?? character);
  }
}
