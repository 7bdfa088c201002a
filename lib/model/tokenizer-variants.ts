/**
 * The tokenizer.json of a model in two variants: with its special tokens, and `plain`, in which no text whatever
 * becomes a control token. Taking control tokens off the list of added tokens is not enough: some models would
 * still find them as whole words or pieces of their vocabulary, so there they are renamed or removed as well.
 */
import { randomUUID } from 'node:crypto';
import { isRecord } from '../options';
import type { AddedToken } from './formats/tokenizer-spec';

export interface VariantInput {
  spec: Record<string, unknown>;
  addedTokens: readonly AddedToken[];
  /** Texts of the control tokens among them. */
  controls: ReadonlySet<string>;
}

type Model = Record<string, unknown>;

/** With all added tokens. */
export function fullVariant({ spec, addedTokens }: VariantInput): object {
  const model = spec['model'] as Model;
  return assemble(spec, withAddedTokens(model, addedTokens), addedTokens);
}

/**
 * Without control tokens.
 * @param continued for text that follows a special token: nothing is put before its first word
 */
export function plainVariant({ spec, addedTokens, controls }: VariantInput, continued = false): object {
  const kept = addedTokens.filter(({ content }) => !controls.has(content));
  const model = withoutControls(withAddedTokens(spec['model'] as Model, kept), controls);
  const variant = assemble(spec, model, kept);
  return continued ? { ...variant, pre_tokenizer: neverFirst(spec['pre_tokenizer']) } : variant;
}

/** Whether the first word of a text is treated unlike the first word after a special token. */
export function treatsFirstWord(preTokenizer: unknown): boolean {
  return JSON.stringify(neverFirst(preTokenizer)) !== JSON.stringify(preTokenizer ?? null);
}

function neverFirst(component: unknown): unknown {
  if (!isRecord(component)) return component ?? null;
  if (component['type'] === 'Metaspace' && component['prepend_scheme'] === 'first') {
    return { ...component, prepend_scheme: 'never' };
  }
  if (Array.isArray(component['pretokenizers'])) {
    return { ...component, pretokenizers: component['pretokenizers'].map(neverFirst) };
  }
  return component;
}

function assemble(spec: Record<string, unknown>, model: Model, addedTokens: readonly AddedToken[]): object {
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: addedTokens.map((token) => ({
      id: token.id,
      content: token.content,
      single_word: token.singleWord,
      lstrip: token.stripLeft,
      rstrip: token.stripRight,
      normalized: token.normalized,
      special: token.special,
    })),
    normalizer: spec['normalizer'] ?? null,
    pre_tokenizer: spec['pre_tokenizer'] ?? null,
    post_processor: null,
    decoder: null,
    model,
  };
}

/** Added tokens get their ids from the vocabulary; the library would otherwise number them on, closing gaps. */
function withAddedTokens(model: Model, addedTokens: readonly AddedToken[]): Model {
  if (!isRecord(model['vocab'])) return model;
  const vocab = { ...model['vocab'] };
  for (const { content, id } of addedTokens) vocab[content] = id;
  return { ...model, vocab };
}

function withoutControls(model: Model, controls: ReadonlySet<string>): Model {
  // No text can contain it by chance or by guess.
  const unreachable = (index: number) => `${randomUUID()}:${index}`;
  if (Array.isArray(model['vocab'])) {
    const vocab = (model['vocab'] as [string, number][]).map(([piece, score], index) =>
      controls.has(piece) ? [unreachable(index), score] : [piece, score],
    );
    return { ...model, vocab };
  }
  const entries = Object.entries(model['vocab'] as Record<string, number>);
  const vocab = Object.fromEntries(entries.filter(([token]) => !controls.has(token)));
  const changed: Model = { ...model, vocab };
  const unknown = model['unk_token'];
  if (typeof unknown === 'string' && controls.has(unknown)) {
    const id = (model['vocab'] as Record<string, number>)[unknown];
    changed['unk_token'] = unreachable(0);
    if (id !== undefined) vocab[changed['unk_token'] as string] = id;
  }
  if (Array.isArray(model['merges'])) {
    changed['merges'] = (model['merges'] as unknown[]).filter((merge) => {
      const [left, right] = mergeParts(merge);
      return !controls.has(left) && !controls.has(right) && !controls.has(left + right);
    });
  }
  return changed;
}

/** A merge is a pair, or in older files both parts in one string. */
function mergeParts(merge: unknown): [string, string] {
  if (Array.isArray(merge)) return [String(merge[0]), String(merge[1])];
  const text = String(merge);
  const space = text.indexOf(' ', 1);
  return [text.slice(0, space), text.slice(space + 1)];
}
