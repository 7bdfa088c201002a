/**
 * The tiny model's tokenizer: a word of the corpus is one token, with the blank before it; so is a letter, and a digit.
 * Everything else is spelled out in bytes, so that no text is beyond it.
 */
import type { TokenizerSource } from 'lsp';

export const SPECIAL_TOKENS = ['<|end|>', '<|user|>', '<|assistant|>', '<|system|>'];

/**
 * From the last question on: the model learns single questions, and would be lost with what was said before. A system
 * message is refused: to leave it out would be to pretend.
 */
const CHAT_TEMPLATE =
  "{% set last = namespace(question=0) %}{% for message in messages %}{% if message['role'] == 'user' %}" +
  "{% set last.question = loop.index0 %}{% elif message['role'] == 'system' %}" +
  "{{ raise_exception('this model takes no system message') }}{% endif %}{% endfor %}" +
  "{% for message in messages %}{% if loop.index0 >= last.question %}{{ '<|' + message['role'] + '|>' + " +
  "message['content'] + '<|end|>' }}{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/** Words, single digits, signs, white space; a blank belongs to what follows it. */
const PIECE = ' ?\\p{L}+| ?\\p{N}| ?[^\\s\\p{L}\\p{N}]+|\\s+';

/**
 * @param texts a sample of the corpus: its words become tokens
 * @param size rows of the embedding; what the vocabulary leaves is never used
 */
export function makeTokenizer(texts: Iterable<string>, size: number): TokenizerSource {
  const words = new Set<string>();
  const pattern = new RegExp(PIECE, 'gu');
  for (const text of texts) for (const [word] of text.matchAll(pattern)) words.add(word);
  const bytes = byteAlphabet();
  const spell = (word: string) => [...Buffer.from(word, 'utf8')].map((byte) => bytes[byte]!).join('');
  const longer = [...words].filter((word) => word.length > 1).sort();
  const tokens = [...SPECIAL_TOKENS, ...bytes, ...longer.map(spell)];
  if (tokens.length > size) throw new Error(`${tokens.length} tokens do not fit into ${size} rows`);
  return {
    spec: specification(tokens),
    specialTokens: { bos: null, eos: { id: 0, text: SPECIAL_TOKENS[0]! }, unk: null, pad: null },
    addBos: undefined,
    addEos: undefined,
    chatTemplate: CHAT_TEMPLATE,
  };
}

function specification(tokens: readonly string[]): Record<string, unknown> {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: PIECE }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      // A piece that is a token is taken whole; any other falls apart into bytes, since there are no merges.
      ignore_merges: true,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [],
    },
  };
}

/** Printable stand-ins of the 256 bytes, as GPT-2's byte-level BPE defines them. */
export function byteAlphabet(): string[] {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}
