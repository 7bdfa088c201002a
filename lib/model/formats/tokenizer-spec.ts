/**
 * What is asked of a tokenizer.json before the Rust tokenizer sees it. Some specifications make that library
 * panic, which ends the whole process; so components are taken from a list, with their fields checked, and
 * everything else is refused by name.
 */
import { describe, isRecord } from '../../options';
import { corrupt, unsupported } from './model-file';
import { mayBacktrackForever } from './pattern-check';

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

/** Checks the components that turn text into pieces and back. */
export function checkSpecification(path: string, spec: Record<string, unknown>): void {
  const budget = { left: MAX_COMPONENTS };
  checkComponent(path, 'normalizer', spec['normalizer'], NORMALIZERS, budget);
  checkComponent(path, 'pre_tokenizer', spec['pre_tokenizer'], PRE_TOKENIZERS, budget);
  checkComponent(path, 'decoder', spec['decoder'], DECODERS, budget);
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
  budget: { left: number },
): void {
  if (value === null || value === undefined) return;
  budget.left -= 1;
  if (budget.left < 0) throw corrupt(path, `\`${where}\` has more than ${MAX_COMPONENTS} components.`);
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
  checkPattern(path, where, value['pattern']);
}

function checkPattern(path: string, where: string, pattern: unknown): void {
  if (!isRecord(pattern)) return;
  const regex = pattern['Regex'] ?? pattern['String'];
  if (typeof regex !== 'string' || regex === '')
    throw corrupt(path, `a pattern in \`${where}\` is not a text.`);
  if (regex.length > MAX_REGEX_LENGTH)
    throw corrupt(path, `a pattern in \`${where}\` is ${regex.length} characters.`);
  if (pattern['Regex'] !== undefined && mayBacktrackForever(regex)) {
    throw unsupported(path, `a pattern in \`${where}\` may never end: ${regex.slice(0, 100)}`);
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
