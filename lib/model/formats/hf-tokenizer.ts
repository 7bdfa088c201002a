/** Tokenizer and chat template of a Hugging Face directory. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isRecord } from '../../options';
import { readJsonObject } from './json-file';
import { corrupt, readTextFile, unsupported } from './model-file';
import type { SpecialToken, SpecialTokens, TokenizerSource } from './model-source';
import { specificationTokens } from './tokenizer-spec';
import type { JsonObject, JsonValue } from './strict-json';

/** The largest known (vocabularies of 260k, merges written twice over) take some 35 MB. */
const MAX_TOKENIZER_BYTES = 48 * 2 ** 20;
/** Arrays and objects in it: one a merge, in the largest known half a million. */
const MAX_TOKENIZER_BRACKETS = 4_000_000;
const MAX_CONFIG_BYTES = 16 * 2 ** 20;
const MAX_TEMPLATE_BYTES = 2 ** 20;

export function huggingFaceTokenizer(directory: string, vocabSize: number): TokenizerSource {
  const path = join(directory, 'tokenizer.json');
  if (!existsSync(path)) {
    throw unsupported(
      directory,
      'it holds no tokenizer.json.',
      'Save the fast tokenizer next to the weights (in transformers: tokenizer.save_pretrained).',
    );
  }
  const spec = readSpecification(path);
  const tokens = specificationTokens(path, spec, vocabSize);
  const ids = new Map<string, number>();
  for (const [id, text] of tokens.entries()) if (text !== undefined) ids.set(text, id);
  const configPath = join(directory, 'tokenizer_config.json');
  const config = existsSync(configPath) ? readJsonObject(configPath, MAX_CONFIG_BYTES) : null;
  return {
    spec,
    specialTokens: specialTokens(configPath, config, ids),
    addBos: flag(configPath, config, 'add_bos_token') ?? (isLegacyLlama(config) ? true : undefined),
    addEos: flag(configPath, config, 'add_eos_token'),
    chatTemplate: readChatTemplate(directory, configPath, config),
  };
}

/** JSON.parse rather than the strict parser: these files are large, and duplicates in them are caught as token ids. */
function readSpecification(path: string): Record<string, unknown> {
  let value: unknown;
  const text = readTextFile(path, MAX_TOKENIZER_BYTES);
  if (text.length > MAX_TOKENIZER_BRACKETS && countBrackets(text) > MAX_TOKENIZER_BRACKETS) {
    throw corrupt(path, `it holds more than ${MAX_TOKENIZER_BRACKETS} arrays and objects.`);
  }
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) {
      throw corrupt(path, `it is not valid JSON: ${error.message.slice(0, 200)}.`);
    }
    throw error;
  }
  if (!isRecord(value)) throw corrupt(path, 'expected a JSON object.');
  return value;
}

/** Opening brackets, those in strings included: a bound of what parsing will allocate. */
function countBrackets(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x5b || code === 0x7b) count += 1;
  }
  return count;
}

/** transformers adds BOS for this class unless told otherwise, whatever tokenizer.json says. */
function isLegacyLlama(config: JsonObject | null): boolean {
  const name = config?.['tokenizer_class'];
  return name === 'LlamaTokenizer' || name === 'LlamaTokenizerFast';
}

function flag(path: string, config: JsonObject | null, key: string): boolean | undefined {
  const value = config?.[key] ?? null;
  if (value === null) return undefined;
  if (typeof value === 'boolean') return value;
  throw corrupt(path, `\`${key}\` is not true or false.`);
}

function specialTokens(
  path: string,
  config: JsonObject | null,
  ids: ReadonlyMap<string, number>,
): SpecialTokens {
  const find = (key: string, needed: boolean): SpecialToken | null => {
    const value = config?.[key] ?? null;
    if (value === null) return null;
    const text = isRecord(value) ? value['content'] : value;
    if (typeof text !== 'string') throw corrupt(path, `\`${key}\` is not a token.`);
    const id = ids.get(text);
    // transformers would append it as a new token, beyond what the embedding knows.
    if (id === undefined && !needed) return null;
    if (id === undefined)
      throw corrupt(path, `\`${key}\` is ${JSON.stringify(text.slice(0, 60))}, which no token has.`);
    return { id, text };
  };
  return {
    bos: find('bos_token', true),
    eos: find('eos_token', true),
    unk: find('unk_token', false),
    pad: find('pad_token', false),
  };
}

/** A file of its own comes before the key in tokenizer_config.json, as in transformers. */
function readChatTemplate(directory: string, configPath: string, config: JsonObject | null): string | null {
  const jinja = join(directory, 'chat_template.jinja');
  if (existsSync(jinja)) return readTextFile(jinja, MAX_TEMPLATE_BYTES);
  const json = join(directory, 'chat_template.json');
  if (existsSync(json))
    return templateOf(json, readJsonObject(json, MAX_CONFIG_BYTES)['chat_template'] ?? null);
  return templateOf(configPath, config?.['chat_template'] ?? null);
}

/** A string, or a list of named templates of which `default` is meant. */
function templateOf(path: string, value: JsonValue): string | null {
  if (value === null) return null;
  if (Array.isArray(value)) {
    const named = value.find((entry) => isRecord(entry) && entry['name'] === 'default');
    if (isRecord(named) && typeof named['template'] === 'string') return bounded(path, named['template']);
    throw corrupt(path, '`chat_template` is a list without a template called `default`.');
  }
  if (typeof value === 'string') return bounded(path, value);
  throw corrupt(path, '`chat_template` is not a string.');
}

function bounded(path: string, template: string): string {
  if (template.length <= MAX_TEMPLATE_BYTES) return template;
  throw corrupt(
    path,
    `\`chat_template\` has ${template.length} characters; at most ${MAX_TEMPLATE_BYTES} are allowed.`,
  );
}
