/**
 * What is asked of a tokenizer.json before the Rust tokenizer sees it. Some specifications make that library
 * panic, which ends the whole process; so components are taken from a list, with their fields checked, and
 * everything else is refused by name.
 */
import { describe, isRecord } from '../../options';
import { corrupt, unsupported } from './model-file';
import { examinePattern } from './pattern-check';

export interface AddedToken {
  id: number;
  content: string;
  singleWord: boolean;
  stripLeft: boolean;
  stripRight: boolean;
  normalized: boolean;
  special: boolean;
}

const MAX_ADDED_TOKENS = 65536;
const MAX_ADDED_TOKEN_LENGTH = 1024;
const MAX_COMPONENTS = 64;
const MAX_REGEX_LENGTH = 4096;
/** Characters that a normalizer or decoder puts in at a time. Those in use put in one. */
const MAX_INSERTED_LENGTH = 64;
/** How many times longer the components of a kind, one after the other, may make a text. */
const MAX_GROWTH = 16;

const NORMALIZERS = [
  'Sequence',
  'NFC',
  'NFD',
  'NFKC',
  'NFKD',
  'Lowercase',
  'Strip',
  'StripAccents',
  'Replace',
];
NORMALIZERS.push('Prepend', 'Nmt', 'ByteLevel');
const PRE_TOKENIZERS = [
  'Sequence',
  'ByteLevel',
  'Split',
  'Digits',
  'Metaspace',
  'Whitespace',
  'WhitespaceSplit',
];
PRE_TOKENIZERS.push('Punctuation', 'BertPreTokenizer', 'UnicodeScripts');
const DECODERS = [
  'Sequence',
  'ByteLevel',
  'Replace',
  'ByteFallback',
  'Fuse',
  'Strip',
  'Metaspace',
  'BPEDecoder',
];

/**
 * How many times longer a text may become, in characters, by components that can be repeated to that end: a sequence
 * of `Replace` and normal forms (one letter can decompose into 18) doubles it as often as it likes.
 */
const GROWTH: Readonly<Record<string, number>> = {
  NFC: 2,
  NFD: 2,
  NFKC: 4,
  NFKD: 4,
  Lowercase: 2,
  ByteLevel: 2,
  BPEDecoder: 2,
};

/** What the components of one kind may still use up. */
interface Budget {
  components: number;
  growth: number;
}

/** Checks the components that turn text into pieces and back. */
export function checkSpecification(path: string, spec: Record<string, unknown>): void {
  const check = (where: string, allowed: readonly string[]) =>
    checkComponent(path, where, spec[where], allowed, { components: MAX_COMPONENTS, growth: MAX_GROWTH });
  check('normalizer', NORMALIZERS);
  check('pre_tokenizer', PRE_TOKENIZERS);
  check('decoder', DECODERS);
  const model = spec['model'];
  if (!isRecord(model)) throw corrupt(path, '`model` is missing or not an object.');
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix', 'dropout']) {
    const value = model[key] ?? null;
    if (value !== null && value !== '' && value !== 0) {
      throw unsupported(
        path,
        `\`model.${key}\` is set.`,
        'Use a model with byte-level or SentencePiece BPE.',
      );
    }
  }
}

const CHILDREN = ['normalizers', 'pretokenizers', 'decoders'];

function checkComponent(
  path: string,
  where: string,
  value: unknown,
  allowed: readonly string[],
  budget: Budget,
): void {
  if (value === null || value === undefined) return;
  budget.components -= 1;
  if (budget.components < 0) throw corrupt(path, `\`${where}\` has more than ${MAX_COMPONENTS} components.`);
  const type = isRecord(value) ? value['type'] : undefined;
  if (!isRecord(value) || typeof type !== 'string')
    throw corrupt(path, `\`${where}\` is not a typed component.`);
  if (!allowed.includes(type))
    throw unsupported(path, `\`${where}\` of type ${JSON.stringify(type.slice(0, 60))}.`);
  if (type === 'Sequence') {
    const children = CHILDREN.map((key) => value[key]).find(Array.isArray);
    if (!children) throw corrupt(path, `the sequence in \`${where}\` has no parts.`);
    for (const child of children as unknown[]) checkComponent(path, where, child, allowed, budget);
  }
  const pattern = checkPattern(path, where, value['pattern']);
  const inserted = insertedLength(path, where, value);
  budget.growth /= (GROWTH[type] ?? 1) * (type === 'Replace' ? replacementGrowth(pattern, inserted) : 1);
  if (budget.growth < 1)
    throw unsupported(path, `\`${where}\` may make a text more than ${MAX_GROWTH} times longer.`);
  // The library takes the last character of a token without looking whether it has one.
  if (type === 'Strip' && where === 'decoder' && (value['stop'] ?? 0) !== 0)
    throw unsupported(path, '`decoder` strips the ends of tokens.');
}

/** Characters that a component puts in: a replacement or a prefix. */
function insertedLength(path: string, where: string, component: Record<string, unknown>): number {
  let length = 0;
  for (const key of ['content', 'prepend']) {
    const text = component[key];
    if (typeof text !== 'string') continue;
    if (text.length > MAX_INSERTED_LENGTH)
      throw unsupported(path, `\`${where}\` has a \`${key}\` of ${text.length} characters.`);
    length = Math.max(length, text.length);
  }
  return length;
}

interface CheckedPattern {
  /** Characters that a match has at least. */
  minLength: number;
}

/** A match becomes the replacement; where no character matches, the replacement comes on top of each. */
function replacementGrowth({ minLength }: CheckedPattern, inserted: number): number {
  return minLength === 0 ? 1 + inserted : Math.max(1, inserted / minLength);
}

function checkPattern(path: string, where: string, pattern: unknown): CheckedPattern {
  if (!isRecord(pattern)) return { minLength: 1 };
  const isRegex = pattern['Regex'] !== undefined;
  const text = isRegex ? pattern['Regex'] : pattern['String'];
  if (typeof text !== 'string' || text === '')
    throw corrupt(path, `a pattern in \`${where}\` is not a text.`);
  if (text.length > MAX_REGEX_LENGTH)
    throw corrupt(path, `a pattern in \`${where}\` is ${text.length} characters.`);
  if (!isRegex) return { minLength: text.length };
  const { problem, matchesEmpty } = examinePattern(text);
  const shown = text.slice(0, 100);
  switch (problem) {
    case 'malformed':
      throw corrupt(path, `a pattern in \`${where}\` is not a regular expression: ${shown}`);
    case 'slow':
      throw unsupported(path, `a pattern in \`${where}\` could take too long: ${shown}`);
    case 'unknown':
      throw unsupported(path, `a pattern in \`${where}\` uses syntax that this version refuses: ${shown}`);
    case undefined:
      return { minLength: matchesEmpty ? 0 : 1 };
  }
}

/** `added_tokens`, checked. */
export function addedTokens(path: string, spec: Record<string, unknown>, vocabSize: number): AddedToken[] {
  const list = spec['added_tokens'] ?? [];
  if (!Array.isArray(list) || list.length > MAX_ADDED_TOKENS)
    throw corrupt(path, '`added_tokens` is not a proper list.');
  const seen = new Set<string>();
  return list.map((entry: unknown, index): AddedToken => {
    const content = isRecord(entry) ? entry['content'] : undefined;
    const id = isRecord(entry) ? entry['id'] : undefined;
    if (
      !isRecord(entry) ||
      typeof content !== 'string' ||
      content === '' ||
      content.length > MAX_ADDED_TOKEN_LENGTH
    ) {
      throw corrupt(path, `\`added_tokens[${index}]\` has no proper content.`);
    }
    if (!isId(id, vocabSize)) throw corrupt(path, idMessage(`\`added_tokens[${index}]\``, id, vocabSize));
    if (seen.has(content)) throw corrupt(path, `the added token ${JSON.stringify(content)} appears twice.`);
    seen.add(content);
    return {
      id,
      content,
      singleWord: entry['single_word'] === true,
      stripLeft: entry['lstrip'] === true,
      stripRight: entry['rstrip'] === true,
      normalized: entry['normalized'] === true,
      special: entry['special'] === true,
    };
  });
}

function isId(id: unknown, vocabSize: number): id is number {
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0 && id < vocabSize;
}

function idMessage(what: string, id: unknown, vocabSize: number): string {
  return `${what} has the id ${JSON.stringify(id)}, not one below the ${vocabSize} rows of the embedding.`;
}

/** Text of every token id: the model's vocabulary with the added tokens laid over it. Ids may have gaps. */
export function specificationTokens(
  path: string,
  spec: Record<string, unknown>,
  vocabSize: number,
): (string | undefined)[] {
  const tokens = new Array<string | undefined>(0);
  const model = spec['model'];
  if (!isRecord(model)) throw corrupt(path, '`model` is missing or not an object.');
  const type = model['type'] ?? 'BPE';
  const put = (id: unknown, text: string) => {
    if (!isId(id, vocabSize))
      throw corrupt(path, idMessage(`token ${JSON.stringify(text.slice(0, 60))}`, id, vocabSize));
    if (tokens[id] !== undefined) throw corrupt(path, `two tokens have the id ${id}.`);
    tokens[id] = text;
  };
  if (type === 'Unigram') {
    const vocabulary = model['vocab'];
    if (!Array.isArray(vocabulary)) throw corrupt(path, '`model.vocab` is not a list.');
    for (const [id, entry] of vocabulary.entries()) {
      const piece: unknown = Array.isArray(entry) ? entry[0] : undefined;
      if (typeof piece !== 'string')
        throw corrupt(path, `\`model.vocab[${id}]\` is not a piece with a score.`);
      put(id, piece);
    }
  } else if (type === 'BPE' || type === 'WordLevel') {
    const vocabulary = model['vocab'];
    if (!isRecord(vocabulary)) throw corrupt(path, '`model.vocab` is not an object.');
    for (const [text, id] of Object.entries(vocabulary)) put(id, text);
  } else {
    throw unsupported(
      path,
      `its tokenizer model is ${describe(type)}.`,
      'This version reads BPE, Unigram and WordLevel.',
    );
  }
  for (const { id, content } of addedTokens(path, spec, vocabSize)) {
    if (tokens[id] !== undefined && tokens[id] !== content) {
      throw corrupt(path, `the added token ${JSON.stringify(content)} and another token share the id ${id}.`);
    }
    tokens[id] = content;
  }
  return tokens;
}
