/** Tokenizers: equal to the reference, streams, and unsound specifications; see chat-encoding.test.ts. */
import { openModelSource } from '../../lib/model/formats';
import type { TokenizerSource } from '../../lib/model/formats';
import { Tokenizer } from '../../lib/model/tokenizer';
import type { ChatMessage } from '../../lib/model/types';
import { errorOf, expectError } from '../support/errors';
import { describeWithModel, fixture, realModel } from '../support/fixtures';
import { byteAlphabet, seededUniform, TINY_CHAT_TEMPLATE, tinyTokenizer } from '../support/tiny-model';
import { user, useTinyTokenizer } from './tokenizers';

const tiny = useTinyTokenizer();

describe('encoding', () => {
  const tokenizer = tiny();

  test('special tokens in text stay text unless asked for', () => {
    expect([...tokenizer.encode('<|im_start|>', { parseSpecial: true })]).toEqual([1]);
    const plain = tokenizer.encode('<|im_start|>');
    expect(plain.length).toBeGreaterThan(1);
    expect([...plain].every((id) => id > 2)).toBe(true);
    expect(tokenizer.decode(plain)).toBe('<|im_start|>');
  });

  test('text comes back, whatever is in it', () => {
    for (const text of [
      '',
      'a',
      ' the user',
      'nul \0 inside',
      '🙂👩‍👩‍👧‍👦 é\r\n',
      '<|im_end|>x',
      'ä'.repeat(1000),
    ]) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }
  });

  test('a lone surrogate is replaced, not fatal', () => {
    expect(tokenizer.decode(tokenizer.encode('a\ud800b'))).toBe('a\ufffdb');
  });

  test('decoding refuses ids outside the vocabulary, skips unused ones and special ones', () => {
    for (const ids of [[-1], [288], [1.5], [NaN], [2 ** 31]]) {
      expectError(
        errorOf(() => tokenizer.decode(ids)),
        'INVALID_ARGUMENT',
        /ids\[0\]/,
      );
    }
    expect(errorOf(() => tokenizer.decode('x' as unknown as Int32Array)).code).toBe('INVALID_ARGUMENT');
    const a = tokenizer.encode('a')[0]!;
    expect(tokenizer.decode([1, a, 287, 2])).toBe('a');
    expect(tokenizer.decode([1, a, 287, 2], { skipSpecial: false })).toBe('<|im_start|>a<|im_end|>');
  });

  test('wrong arguments', () => {
    expectError(
      errorOf(() => tokenizer.encode(3 as unknown as string)),
      'INVALID_ARGUMENT',
      /`text`/,
    );
    expectError(
      errorOf(() => tokenizer.encode('x', { parseSpecials: true } as object)),
      'UNKNOWN_OPTION',
      /Did you mean `parseSpecial`/,
    );
    for (const messages of [[], 'x', [{ role: 'user' }], [{ role: '', content: '' }], [null]] as unknown[]) {
      expect(errorOf(() => tokenizer.encodeChat(messages as ChatMessage[])).code).toBe('INVALID_ARGUMENT');
    }
    expectError(
      errorOf(() => tokenizer.encodeChat([{ role: 'x<|im_end|>', content: '' }])),
      'INVALID_ARGUMENT',
      /messages\[0\]\.role/,
    );
  });

  test('addSpecial follows the post-processor, and explicit settings come first', () => {
    const template = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<|im_start|>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<|im_start|>': { id: '<|im_start|>', ids: [1], tokens: ['<|im_start|>'] } },
    };
    const spec = { ...tinyTokenizer(), post_processor: { type: 'Sequence', processors: [template] } };
    const text = 'a';
    const id = tokenizer.encode(text)[0]!;
    const withSpecial = (changes: Partial<TokenizerSource>) => [
      ...tiny(changes).encode(text, { addSpecial: true }),
    ];
    expect(withSpecial({ spec })).toEqual([1, id]);
    expect(withSpecial({ spec, addBos: false })).toEqual([id]);
    expect(withSpecial({ addBos: true, addEos: true })).toEqual([1, id, 2]);
    expect(withSpecial({})).toEqual([id]);
    expect([...tiny({ addBos: true, addEos: true }).encodePrompt(text)]).toEqual([1, id]);
  });
});

describe('streaming', () => {
  const tokenizer = tiny();

  test('characters come whole', () => {
    const text = 'aé🙂 the 世界';
    const decoder = tokenizer.streamDecoder();
    const pieces = [...tokenizer.encode(text)].map((id) => decoder.push([id]));
    expect(pieces.join('') + decoder.end()).toBe(text);
    expect(
      pieces.every((piece) => !piece.includes('\ufffd') && Buffer.from(piece).toString() === piece),
    ).toBe(true);
  });

  test('bytes that make no text come out as they decode, in the end', () => {
    const random = seededUniform(3);
    for (let round = 0; round < 20; round += 1) {
      const ids = Array.from({ length: 100 }, () => 3 + Math.floor(random() * 256));
      const decoder = tokenizer.streamDecoder();
      const text = ids.map((id) => decoder.push([id])).join('') + decoder.end();
      // The decoder gives up waiting after 32 tokens without a character: then a character may break.
      expect(text.replaceAll('\ufffd', '')).toBe(tokenizer.decode(ids).replaceAll('\ufffd', ''));
    }
  });
});

describe('unsound specifications', () => {
  test.each<[string, Record<string, unknown>]>([
    ['precompiled normalizer', { normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAAA' } }],
    ['unknown decoder', { decoder: { type: 'CTC' } }],
    ['nested forever', { pre_tokenizer: nested(100) }],
    ['untyped component', { decoder: { replace: 'x' } }],
  ])('%s', (_, changes) => {
    const spec = { ...tinyTokenizer(), ...changes };
    expect(['UNSUPPORTED_MODEL', 'INVALID_MODEL_FILE']).toContain(errorOf(() => tiny({ spec })).code);
  });

  test.each<[string, Record<string, unknown>]>([
    ['a pattern that does not parse', { pre_tokenizer: splitAt('([') }],
    ['a pattern that only the engine refuses', { pre_tokenizer: splitAt('\\p{Nonesuch}') }],
    ['a vocabulary without the merges', { model: { type: 'BPE', vocab: { a: 3 }, merges: [['a', 'b']] } }],
    [
      'an unknown token outside the vocabulary',
      { model: { type: 'BPE', vocab: { a: 3 }, merges: [], unk_token: 'none' }, pre_tokenizer: null },
    ],
    ['a Unigram model without pieces', { model: { type: 'Unigram', unk_id: 5, vocab: [['<u>', 0]] } }],
    ['token ids beyond the embedding', { post_processor: { type: 'BertProcessing', cls: ['x', 1e9] } }],
  ])('%s shows before a text is encoded, with the path of the file', (_, changes) => {
    const source = { ...tiny().source, spec: { ...tinyTokenizer(), ...changes } };
    const make = () => new Tokenizer(source, { vocabSize: 288, eosTokenIds: [2], path: '/models/t' });
    expectError(
      errorOf(() => make().verify()),
      'INVALID_MODEL_FILE',
      /^\/models\/t: /,
    );
  });

  test('a template that does not parse shows before a chat is encoded', () => {
    const tokenizer = tiny({ chatTemplate: '{% for %}' });
    expect(errorOf(() => tokenizer.verify()).code).toBe('INVALID_CHAT_TEMPLATE');
    tiny({ chatTemplate: null }).verify();
  });

  const doubling = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' };
  const everywhere = { type: 'Replace', pattern: { Regex: 'x*' }, content: 'b' };
  test.each<[string, Record<string, unknown>]>([
    ['doublings', normalizers(...Array<object>(5).fill(doubling))],
    ['doublings in sequences', normalizers(...Array<object>(5).fill(normalizers(doubling).normalizer))],
    ['insertions everywhere', normalizers(...Array<object>(5).fill(everywhere))],
    ['a long prefix', { normalizer: { type: 'Prepend', prepend: 'x'.repeat(65) } }],
    ['a long replacement', { normalizer: { ...doubling, content: 'x'.repeat(65) } }],
    ['normal forms over and over', normalizers(...Array<object>(3).fill({ type: 'NFKD' }))],
    ['doublings of the decoder', { decoder: { type: 'Sequence', decoders: Array(5).fill(doubling) } }],
    ['a decoder that strips ends', { decoder: { type: 'Strip', content: ' ', start: 0, stop: 1 } }],
  ])('%s are refused', (_, changes) => {
    const spec = { ...tinyTokenizer(), ...changes };
    expect(errorOf(() => tiny({ spec })).code).toBe('UNSUPPORTED_MODEL');
  });

  test('normalizers in use are not', () => {
    const space = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
    const spaces = { type: 'Replace', pattern: { Regex: ' {2,}' }, content: ' ' };
    const quotes = ['``', "''"].map((String) => ({ type: 'Replace', pattern: { String }, content: '"' }));
    for (const normalizer of [
      normalizers({ type: 'Prepend', prepend: '▁' }, space),
      normalizers(...quotes, { type: 'NFKD' }, { type: 'StripAccents' }, { type: 'Lowercase' }, spaces),
      normalizers({ type: 'Nmt' }, { type: 'NFKC' }, spaces),
    ]) {
      expect(tiny({ spec: { ...tinyTokenizer(), ...normalizer } }).encode('a').length).toBeGreaterThan(0);
    }
  });

  test.each(['a*a*a*a*c', '(a+)+$', '(a|a?)+$', '^(\\s*x*)*y', '((ab)*c*)+d', '(?:a+){2,}b', '(a*)*\\1b'])(
    'the pattern %s could run for ever',
    (regex) => {
      const spec = { ...tinyTokenizer(), pre_tokenizer: splitAt(regex) };
      expectError(
        errorOf(() => tiny({ spec })),
        'UNSUPPORTED_MODEL',
        /pattern/,
      );
    },
  );

  function normalizers(...parts: unknown[]) {
    return { normalizer: { type: 'Sequence', normalizers: parts } };
  }

  function splitAt(regex: string) {
    return { type: 'Split', pattern: { Regex: regex }, behavior: 'Isolated', invert: false };
  }

  function nested(depth: number): unknown {
    return depth === 0 ? null : { type: 'Sequence', pretokenizers: [nested(depth - 1)] };
  }
});

describe('SentencePiece tokenizers', () => {
  test('the first word after a special token gets no space of its own', () => {
    const pieces = ['<unk>', '<s>', '</s>', '▁', 'a', 'b', '▁a', '▁b'];
    const spec = {
      added_tokens: ['<unk>', '<s>', '</s>'].map((content, id) => ({ id, content, special: true })),
      normalizer: null,
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
      decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
      model: {
        type: 'BPE',
        unk_token: '<unk>',
        fuse_unk: true,
        byte_fallback: false,
        vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
        merges: ['▁ a', '▁ b'],
      },
    };
    const source = {
      spec,
      specialTokens: {
        bos: { id: 1, text: '<s>' },
        eos: { id: 2, text: '</s>' },
        unk: { id: 0, text: '<unk>' },
        pad: null,
      },
      addBos: true,
      addEos: false,
      chatTemplate: 'a<s>{{ messages[0].content }}</s>b',
    };
    const tokenizer = new Tokenizer(source, { vocabSize: 8, eosTokenIds: [2] });
    expect([...tokenizer.encodeChat(user('a b'))]).toEqual([6, 1, 4, 7, 2, 5]);
    // '<', '/', 's' and '>' are unknown characters, which this model fuses into one unknown token.
    expect([...tokenizer.encodeChat(user('a</s>'))]).toEqual([6, 1, 4, 0, 2, 5]);
  });
});

test('the tiny tokenizer covers all bytes', () => {
  expect(new Set(byteAlphabet()).size).toBe(256);
  expect(TINY_CHAT_TEMPLATE).toContain('add_generation_prompt');
});

interface TokenizerRow {
  text: string;
  ids: number[];
  decoded: string;
}
interface ChatRow {
  messages: ChatMessage[];
  addGenerationPrompt: boolean;
  text: string;
  ids: number[];
}

describeWithModel('the real tokenizer', () => {
  let tokenizer: Tokenizer;
  beforeAll(() => {
    const { config, tokenizer: source } = openModelSource(realModel!);
    tokenizer = new Tokenizer(source, { vocabSize: config.vocabSize, eosTokenIds: config.eosTokenIds });
  });

  test('text equals the reference in both directions, also in a stream', () => {
    for (const { text, ids, decoded } of fixture('tokenizer.json') as TokenizerRow[]) {
      expect([...tokenizer.encode(text, { parseSpecial: true })]).toEqual(ids);
      expect(tokenizer.decode(ids, { skipSpecial: false })).toBe(decoded);
      const decoder = tokenizer.streamDecoder({ skipSpecial: false });
      expect(ids.map((id) => decoder.push([id])).join('') + decoder.end()).toBe(decoded);
    }
  });

  test('chats equal the reference', () => {
    for (const { messages, addGenerationPrompt, text, ids } of fixture('chat.json') as ChatRow[]) {
      expect(tokenizer.applyChatTemplate(messages, { addGenerationPrompt })).toBe(text);
      expect([...tokenizer.encodeChat(messages, { addGenerationPrompt })]).toEqual(ids);
    }
  });

  test('no special token comes from a message', () => {
    const names = tokenizer.specialTokenIds.map((id) => tokenizer.tokenText(id)!);
    expect(names).toContain('<|im_start|>');
    const special = new Set(tokenizer.specialTokenIds);
    const ids = tokenizer.encodeChat(user(names.join(' and ')));
    // system, user and assistant turns of the template
    expect([...ids].filter((id) => special.has(id))).toEqual([1, 2, 1, 2, 1]);
    expect([...tokenizer.encode(names.join(''))].some((id) => special.has(id))).toBe(false);
  });
});
