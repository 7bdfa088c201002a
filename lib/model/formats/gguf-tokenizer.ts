/**
 * A tokenizer.json specification rebuilt from a GGUF's `tokenizer.ggml.*` metadata.
 *
 * `gpt2` is byte-level BPE; which regular expressions cut the text first is named by `tokenizer.ggml.pre`.
 * An unknown name is refused: the wrong cut gives other tokens than the model was trained on, silently.
 * `llama` is SentencePiece's BPE, whose merges follow from the scores of the pieces.
 */
import type { Metadata } from './gguf-model';
import { corrupt, unsupported } from './model-file';
import type { SpecialToken, TokenizerSource } from './model-source';

/** tokenizer.ggml.token_type. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

const MAX_TOKENS = 2 ** 20;

export function ggufTokenizer(metadata: Metadata, vocabSize: number): TokenizerSource {
  const { path } = metadata;
  const kind = metadata.string('tokenizer.ggml.model');
  if (kind === undefined)
    throw corrupt(path, 'metadata `tokenizer.ggml.model` is missing: the file has no tokenizer.');
  const tokens = metadata.array('tokenizer.ggml.tokens', 'string');
  if (!tokens) throw corrupt(path, 'metadata `tokenizer.ggml.tokens` is missing.');
  if (tokens.length !== vocabSize || tokens.length > MAX_TOKENS) {
    throw corrupt(path, `the tokenizer has ${tokens.length} tokens but the embedding ${vocabSize} rows.`);
  }
  requireUnique(path, tokens);
  const types =
    metadata.array('tokenizer.ggml.token_type', 'number') ?? new Array<number>(tokens.length).fill(1);
  if (types.length !== tokens.length) {
    throw corrupt(
      path,
      `\`tokenizer.ggml.token_type\` has ${types.length} entries for ${tokens.length} tokens.`,
    );
  }
  const special = (name: string): SpecialToken | null => {
    const id = metadata.number(`tokenizer.ggml.${name}_token_id`);
    return id === undefined ? null : { id, text: tokens[id] ?? '' }; // ids were checked with the configuration
  };
  const unknown = metadata.number('tokenizer.ggml.unknown_token_id');
  if (unknown !== undefined && tokens[unknown] === undefined) {
    throw corrupt(path, `the unknown token id ${unknown} is not in the vocabulary of ${tokens.length}.`);
  }
  const { parts, addBosByDefault } =
    kind === 'gpt2' ? byteLevelParts(metadata, tokens) : sentencePieceParts(metadata, kind, tokens, types);
  return {
    spec: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: addedTokens(tokens, types),
      post_processor: null,
      ...parts,
    },
    specialTokens: {
      bos: special('bos'),
      eos: special('eos'),
      unk: special('unknown'),
      pad: special('padding'),
    },
    addBos: metadata.boolean('tokenizer.ggml.add_bos_token') ?? addBosByDefault,
    addEos: metadata.boolean('tokenizer.ggml.add_eos_token') ?? false,
    chatTemplate: metadata.string('tokenizer.chat_template') ?? null,
  };
}

function requireUnique(path: string, tokens: readonly string[]): void {
  const seen = new Set<string>();
  for (const [id, token] of tokens.entries()) {
    if (seen.has(token))
      throw corrupt(path, `token ${id} (${JSON.stringify(token.slice(0, 60))}) appears twice.`);
    seen.add(token);
  }
}

function addedTokens(tokens: readonly string[], types: readonly number[]): object[] {
  const added: object[] = [];
  for (const [id, content] of tokens.entries()) {
    const type = types[id];
    if (type !== CONTROL && type !== USER_DEFINED && type !== UNKNOWN) continue;
    if (content === '') continue;
    const special = type !== USER_DEFINED;
    added.push({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special });
  }
  return added;
}

interface SpecificationParts {
  parts: { normalizer: unknown; pre_tokenizer: unknown; decoder: unknown; model: unknown };
  addBosByDefault: boolean;
}

function byteLevelParts(metadata: Metadata, tokens: readonly string[]): SpecificationParts {
  const { path } = metadata;
  const merges = metadata.array('tokenizer.ggml.merges', 'string');
  if (!merges) throw corrupt(path, 'metadata `tokenizer.ggml.merges` is missing.');
  const vocabulary = new Map(tokens.map((token, id) => [token, id]));
  const pairs = merges.map((merge, index) => {
    // The first character of the left part may itself be a space in odd vocabularies: split after it.
    const space = merge.indexOf(' ', 1);
    const pair = [merge.slice(0, space), merge.slice(space + 1)];
    const known = space > 0 && pair.every((part) => vocabulary.has(part)) && vocabulary.has(pair.join(''));
    if (!known)
      throw corrupt(path, `merge ${index} (${JSON.stringify(merge.slice(0, 60))}) joins no known tokens.`);
    return pair;
  });
  const pre = metadata.string('tokenizer.ggml.pre') ?? 'default';
  const preTokenizer = preTokenizerOf(path, pre);
  return {
    parts: {
      normalizer: null,
      pre_tokenizer: preTokenizer.specification,
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: bpe(Object.fromEntries(vocabulary), pairs, { ignoreMerges: preTokenizer.ignoreMerges }),
    },
    addBosByDefault: preTokenizer.addBos,
  };
}

function bpe(vocab: object, merges: string[][], options: { ignoreMerges?: boolean; unk?: string }): object {
  const sentencePiece = options.unk !== undefined;
  return {
    type: 'BPE',
    dropout: null,
    unk_token: options.unk ?? null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: sentencePiece,
    byte_fallback: sentencePiece,
    ignore_merges: options.ignoreMerges ?? false,
    vocab,
    merges,
  };
}

interface PreTokenizer {
  specification: unknown;
  ignoreMerges: boolean;
  addBos: boolean;
}

/** Byte-level mapping with or without GPT-2's own cut into words. */
const byteLevel = (useRegex: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});

const split = (regex: string) => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
});

const sequence = (...pretokenizers: object[]) => ({ type: 'Sequence', pretokenizers });

/** The cut of Llama 3 and its kin: they differ in how many digits stay together. */
const wordsAndDigits = (digits: string) =>
  sequence(
    split(
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" +
        `${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
    ),
    byteLevel(false),
  );

/** Names of `tokenizer.ggml.pre` that cut alike. */
const PRE_TOKENIZERS: readonly { names: readonly string[]; make: () => PreTokenizer }[] = [
  {
    // Digits one by one, then GPT-2's words.
    names: ['smollm', 'starcoder', 'refact', 'command-r', 'codeshell', 'exaone', 'minerva-7b'],
    make: () => plain(sequence({ type: 'Digits', individual_digits: true }, byteLevel(true))),
  },
  {
    names: ['gpt-2', 'gpt2', 'phi-2', 'mpt', 'olmo', 'jais', 'jina-es', 'jina-de', 'gigachat'],
    make: () => plain(byteLevel(true)),
  },
  {
    names: ['llama-bpe', 'llama3', 'llama-v3', 'falcon3'],
    make: () => ({ specification: wordsAndDigits('{1,3}'), ignoreMerges: true, addBos: true }),
  },
  {
    names: ['dbrx', 'smaug-bpe'],
    make: () => plain(wordsAndDigits('{1,3}')),
  },
  {
    names: ['qwen2', 'stablelm2', 'deepseek-r1-qwen', 'megrez'],
    make: () => plain(wordsAndDigits('')),
  },
  {
    // Converters that did not recognise the tokenizer; what llama.cpp then does: punctuation, GPT-2's words, and
    // digits by threes.
    names: ['default'],
    make: () =>
      plain(
        sequence(
          split('[\\p{P}\\$\\+<=>\\^~\\|]+'),
          split("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"),
          split('\\p{N}+'),
          split('[0-9][0-9][0-9]'),
          byteLevel(false),
        ),
      ),
  },
];

function plain(specification: unknown): PreTokenizer {
  return { specification, ignoreMerges: false, addBos: false };
}

function preTokenizerOf(path: string, name: string): PreTokenizer {
  const entry = PRE_TOKENIZERS.find(({ names }) => names.includes(name));
  if (entry) return entry.make();
  throw unsupported(
    path,
    `its pre-tokenizer (\`tokenizer.ggml.pre\`) is ${JSON.stringify(name.slice(0, 60))}.`,
    `Known: ${PRE_TOKENIZERS.flatMap(({ names }) => names).join(', ')}. Or use the model's Hugging Face directory.`,
  );
}

/** U+2581, SentencePiece's visible space. */
const SPACE = '\u2581';

function sentencePieceParts(
  metadata: Metadata,
  kind: string,
  tokens: readonly string[],
  types: readonly number[],
): SpecificationParts {
  const { path } = metadata;
  if (kind !== 'llama') {
    throw unsupported(
      path,
      `its tokenizer model is ${JSON.stringify(kind.slice(0, 60))}.`,
      'This version reads `gpt2` (byte-level BPE) and `llama` (SentencePiece BPE).',
    );
  }
  const scores = metadata.array('tokenizer.ggml.scores', 'number');
  if (scores?.length !== tokens.length || !scores.every(Number.isFinite)) {
    throw corrupt(path, '`tokenizer.ggml.scores` is missing or does not fit the tokens.');
  }
  const unk = tokens[metadata.number('tokenizer.ggml.unknown_token_id') ?? types.indexOf(UNKNOWN)];
  if (unk === undefined) throw corrupt(path, 'the SentencePiece tokenizer has no unknown token.');
  const prefix = metadata.boolean('tokenizer.ggml.add_space_prefix') ?? true;
  const visible = { type: 'Replace', pattern: { String: ' ' }, content: SPACE };
  const decoders: object[] = [
    { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ];
  if (prefix) decoders.push({ type: 'Strip', content: ' ', start: 1, stop: 0 });
  return {
    parts: {
      normalizer: prefix
        ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: SPACE }, visible] }
        : visible,
      pre_tokenizer: null,
      decoder: { type: 'Sequence', decoders },
      model: bpe(
        Object.fromEntries(tokens.map((token, id) => [token, id])),
        scoreMerges(tokens, types, scores),
        { unk },
      ),
    },
    addBosByDefault: true,
  };
}

/** Pieces longer than this come from no merge worth having; it bounds the work on hostile vocabularies. */
const MAX_PIECE_LENGTH = 64;

/**
 * SentencePiece always joins the pair whose result has the highest score: so every way to cut a piece into two
 * known pieces is a merge, ranked by the score of the piece, then by its parts' ids.
 */
function scoreMerges(
  tokens: readonly string[],
  types: readonly number[],
  scores: readonly number[],
): string[][] {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const merges: { left: number; right: number; score: number }[] = [];
  for (const [id, token] of tokens.entries()) {
    if (types[id] === CONTROL || types[id] === UNKNOWN || token.length > MAX_PIECE_LENGTH) continue;
    for (let cut = 1; cut < token.length; cut += 1) {
      const left = ids.get(token.slice(0, cut));
      const right = ids.get(token.slice(cut));
      if (left !== undefined && right !== undefined) merges.push({ left, right, score: scores[id]! });
    }
  }
  merges.sort((a, b) => b.score - a.score || a.left - b.left || a.right - b.right);
  return merges.map(({ left, right }) => [tokens[left]!, tokens[right]!]);
}
