/**
 * Text ⇄ token ids. The work is done by the Rust tokenizers; this class decides what may become a special token,
 * applies chat templates, and answers synchronously.
 */
import { types } from 'node:util';
import { LspError } from '../errors';
import { checkOptions, expectBoolean, expectString, invalid } from '../options';
import { ChatEncoder, type ChatPlan } from './chat-encoding';
import { ChatTemplate, checkMessages } from './chat-template';
import type { SpecialToken, TokenizerSource } from './formats/model-source';
import {
  type AddedToken,
  addedTokens,
  checkSpecification,
  specificationTokens,
} from './formats/tokenizer-spec';
import { StreamDecoder } from './stream-decoder';
import { bookends, type Bookends } from './tokenizer-bookends';
import { HostedTokenizer, makeTextDecoder } from './tokenizer-host';
import { fullVariant, plainVariant, treatsFirstWord } from './tokenizer-variants';
import type { ChatMessage } from './types';

export interface EncodeOptions {
  /** Special tokens spelled out in the text become those tokens (default false: they stay plain text). */
  parseSpecial?: boolean;
  /** Adds the tokens that the model wants around a text, such as BOS (default false). */
  addSpecial?: boolean;
}

export interface ChatOptions {
  /** Ends with the opening of the assistant's turn (default true). */
  addGenerationPrompt?: boolean;
}

export interface DecodeOptions {
  /** Leaves out special tokens (default true). */
  skipSpecial?: boolean;
}

export interface TokenizerOptions {
  /** Rows of the embedding; ids beyond the tokenizer's own decode to nothing. */
  vocabSize: number;
  eosTokenIds: readonly number[];
  /** The file to name in errors. */
  path?: string;
}

/** Nothing; and words, digits, spaces and a character that no vocabulary knows. */
const TRIAL_TEXTS = ['', 'A word, 12\n  \u{10fffd}'];

export class Tokenizer {
  /** Rows of the model's embedding: ids are below it. */
  readonly vocabSize: number;
  /** Ids that end a completion. */
  readonly eosTokenIds: readonly number[];
  /** Ids that plain text never becomes, ascending. */
  readonly specialTokenIds: readonly number[];
  readonly bosTokenId: number | null;
  readonly padTokenId: number | null;
  readonly unkTokenId: number | null;

  readonly #source: TokenizerSource;
  readonly #tokens: (string | undefined)[];
  readonly #specialIds: ReadonlySet<number>;
  readonly #idOfSpecial: ReadonlyMap<string, AddedToken>;
  readonly #bookends: Bookends;
  readonly #full: HostedTokenizer;
  readonly #plain: HostedTokenizer;
  readonly #continued: HostedTokenizer;
  readonly #decodeTokens: (tokens: string[]) => string;
  readonly #chatEncoder: ChatEncoder;
  #template: ChatTemplate | undefined;

  /** @throws LspError INVALID_MODEL_FILE, UNSUPPORTED_MODEL */
  constructor(
    source: TokenizerSource,
    { vocabSize, eosTokenIds, path = 'tokenizer.json' }: TokenizerOptions,
  ) {
    const { spec, specialTokens } = source;
    checkSpecification(path, spec);
    this.#source = source;
    this.vocabSize = vocabSize;
    this.eosTokenIds = [...eosTokenIds];
    this.bosTokenId = specialTokens.bos?.id ?? null;
    this.padTokenId = specialTokens.pad?.id ?? null;
    this.unkTokenId = specialTokens.unk?.id ?? null;
    this.#tokens = specificationTokens(path, spec, vocabSize);
    const added = withNamedSpecials(addedTokens(path, spec, vocabSize), Object.values(specialTokens));
    const controls = added.filter((token) => token.special || isTemplateMark(token, source.chatTemplate));
    this.#idOfSpecial = new Map(controls.map((token) => [token.content, token]));
    this.#specialIds = new Set(controls.map(({ id }) => id));
    this.specialTokenIds = [...this.#specialIds].sort((a, b) => a - b);
    const input = { spec, addedTokens: added, controls: new Set(this.#idOfSpecial.keys()) };
    const ids = (tokens: readonly AddedToken[]) => new Map(tokens.map(({ content, id }) => [content, id]));
    const kept = ids(added.filter((token) => !this.#idOfSpecial.has(token.content)));
    this.#full = new HostedTokenizer(() => fullVariant(input), ids(added), path);
    this.#plain = new HostedTokenizer(() => plainVariant(input), kept, path);
    this.#continued = treatsFirstWord(spec['pre_tokenizer'])
      ? new HostedTokenizer(() => plainVariant(input, true), kept, path)
      : this.#plain;
    this.#decodeTokens = makeTextDecoder(spec['decoder'], path);
    this.#bookends = bookends(source, vocabSize, path);
    this.#chatEncoder = new ChatEncoder(input.controls);
  }

  /**
   * Builds what is otherwise built when first used, and encodes a trial text, so that a damaged tokenizer or template
   * shows now.
   * @throws LspError INVALID_MODEL_FILE, UNSUPPORTED_MODEL, INVALID_CHAT_TEMPLATE
   * @internal
   */
  verify(): void {
    for (const variant of new Set([this.#full, this.#plain, this.#continued])) variant.encode(TRIAL_TEXTS);
    if (this.#source.chatTemplate !== null) this.#compiledTemplate();
  }

  /** The model's Jinja source, if it has one. */
  get chatTemplate(): string | null {
    return this.#source.chatTemplate;
  }

  /** What this tokenizer was made of, for saving. */
  get source(): TokenizerSource {
    return this.#source;
  }

  /**
   * Token ids of a text.
   * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
   */
  encode(text: string, options?: EncodeOptions): Int32Array {
    const checked = checkOptions(options, ['parseSpecial', 'addSpecial'], 'encode');
    const parseSpecial = expectBoolean('parseSpecial', checked.parseSpecial ?? false);
    const addSpecial = expectBoolean('addSpecial', checked.addSpecial ?? false);
    expectString('text', text);
    const [ids] = (parseSpecial ? this.#full : this.#plain).encode([text]);
    return addSpecial ? concatenate([this.#bookends.before, ids!, this.#bookends.after]) : ids!;
  }

  /** A text as the beginning of a prompt: with the tokens that the model wants before it (BOS), none after. */
  encodePrompt(text: string): Int32Array {
    return concatenate([this.#bookends.before, this.encode(text)]);
  }

  /**
   * Token ids of a conversation through the chat template. Message text never becomes special tokens; where it
   * spells out none, the ids are those of the whole rendered text with special tokens parsed.
   * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION, INVALID_CHAT_TEMPLATE
   */
  encodeChat(messages: readonly ChatMessage[], options?: ChatOptions): Int32Array {
    const addGenerationPrompt = chatOptions(options, 'encodeChat');
    const checked = checkMessages('messages', messages);
    const template = this.#compiledTemplate();
    const plan = this.#chatEncoder.plan(checked, (given) => template.render(given, { addGenerationPrompt }));
    return plan.kind === 'whole' ? this.#full.encode([plan.text])[0]! : this.#encodeSplit(plan);
  }

  /** The rendered conversation, for people to read: encode it with `encodeChat`, not from this text. */
  applyChatTemplate(messages: readonly ChatMessage[], options?: ChatOptions): string {
    const addGenerationPrompt = chatOptions(options, 'applyChatTemplate');
    return this.#compiledTemplate().render(checkMessages('messages', messages), { addGenerationPrompt });
  }

  /**
   * Text of token ids; incomplete characters become U+FFFD.
   * @throws LspError INVALID_ARGUMENT for ids outside the vocabulary
   */
  decode(ids: Int32Array | readonly number[], options?: DecodeOptions): string {
    return this.#decodeTokens(this.#tokenTexts(ids, skipSpecialOption(options, 'decode')));
  }

  /** Incremental decoding: text as tokens arrive, without broken characters. */
  streamDecoder(options?: DecodeOptions): StreamDecoder {
    const skipSpecial = skipSpecialOption(options, 'streamDecoder');
    return new StreamDecoder((ids) => this.#decodeTokens(this.#tokenTexts(ids, skipSpecial)));
  }

  /** A token as the vocabulary spells it, or null for an unused id; for people to read. */
  tokenText(id: number): string | null {
    if (!Number.isSafeInteger(id) || id < 0 || id >= this.vocabSize) throw this.#outOfRange('id', id);
    return this.#tokens[id] ?? null;
  }

  #tokenTexts(ids: Int32Array | readonly number[], skipSpecial: boolean): string[] {
    if (!types.isInt32Array(ids) && !Array.isArray(ids)) throw invalid('ids', 'an Int32Array', ids);
    const texts: string[] = [];
    for (let index = 0; index < ids.length; index += 1) {
      const id = ids[index] as number;
      if (!Number.isSafeInteger(id) || id < 0 || id >= this.vocabSize)
        throw this.#outOfRange(`ids[${index}]`, id);
      const text = this.#tokens[id];
      if (text !== undefined && !(skipSpecial && this.#specialIds.has(id))) texts.push(text);
    }
    return texts;
  }

  #outOfRange(name: string, id: unknown): LspError {
    return invalid(name, `a token id from 0 to ${this.vocabSize - 1}`, id);
  }

  #compiledTemplate(): ChatTemplate {
    if (this.#template) return this.#template;
    const { chatTemplate, specialTokens } = this.#source;
    if (chatTemplate === null) {
      throw new LspError('INVALID_ARGUMENT', 'Expected a model with a chat template but this one has none.', {
        remedy: 'Give plain text or token ids as prompts.',
      });
    }
    const { bos, eos, unk, pad } = specialTokens;
    const texts = { bos: bos?.text, eos: eos?.text, unk: unk?.text, pad: pad?.text };
    this.#template = new ChatTemplate(chatTemplate, texts);
    return this.#template;
  }

  /** Cuts at the template's special tokens; what lies between is plain. */
  #encodeSplit({ text, spans }: Extract<ChatPlan, { kind: 'split' }>): Int32Array {
    const pieces: string[] = [];
    let start = 0;
    let stripNext = false;
    for (const { start: end, end: next, text: special } of [
      ...spans,
      { start: text.length, end: 0, text: '' },
    ]) {
      const token = this.#idOfSpecial.get(special);
      let piece = text.slice(start, end);
      if (stripNext) piece = piece.trimStart();
      if (token?.stripLeft) piece = piece.trimEnd();
      stripNext = token?.stripRight ?? false;
      pieces.push(piece);
      start = next;
    }
    const [first] = this.#plain.encode([pieces[0]!]);
    const rest = this.#continued.encode(pieces.slice(1));
    const specials = spans.map((span) => [this.#idOfSpecial.get(span.text)!.id]);
    return concatenate([first!, ...rest.flatMap((ids, index) => [specials[index]!, ids])]);
  }
}

function concatenate(parts: readonly (Int32Array | readonly number[])[]): Int32Array {
  const result = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    result.set(part, offset);
    offset += part.length;
  }
  return result;
}

function chatOptions(options: ChatOptions | undefined, owner: string): boolean {
  const checked = checkOptions(options, ['addGenerationPrompt'], owner);
  return expectBoolean('addGenerationPrompt', checked.addGenerationPrompt ?? true);
}

function skipSpecialOption(options: DecodeOptions | undefined, owner: string): boolean {
  return expectBoolean('skipSpecial', checkOptions(options, ['skipSpecial'], owner).skipSpecial ?? true);
}

/** BOS, EOS and the like are special even where the file's list forgets to say so. */
function withNamedSpecials(
  added: readonly AddedToken[],
  named: readonly (SpecialToken | null)[],
): AddedToken[] {
  const byContent = new Map(added.map((token) => [token.content, token]));
  for (const token of named) {
    if (!token || token.text.trim() === '') continue;
    const known = byContent.get(token.text);
    const fresh = { singleWord: false, stripLeft: false, stripRight: false, normalized: false };
    byContent.set(token.text, {
      ...(known ?? { ...fresh, id: token.id, content: token.text }),
      special: true,
    });
  }
  return [...byContent.values()];
}

/** A token that the chat template writes marks turns, whether or not the file calls it special. */
function isTemplateMark({ content }: AddedToken, template: string | null): boolean {
  return content.trim() !== '' && template !== null && template.includes(content);
}
