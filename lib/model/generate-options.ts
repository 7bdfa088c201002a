/** Checks of what `generate` and `stream` are asked, with every default in one place. */
import { types } from 'node:util';
import { LspError } from '../errors';
import {
  checkOptions,
  expectArray,
  expectFunction,
  expectInteger,
  expectNumber,
  expectOneOf,
  expectSignal,
  expectString,
  expectUint64,
  invalid,
} from '../options';
import { checkMessages } from './chat-template';
import type { Tokenizer } from './tokenizer';
import {
  SAMPLING_PRECISIONS,
  type GenerateOptions,
  type ModelConfig,
  type Prompt,
  type SamplingPrecision,
} from './types';

const DEFAULT_NEW_TOKENS = 256;
const MAX_STOPS = 64;

const GENERATE_OPTIONS: readonly (keyof GenerateOptions)[] = [
  'maxNewTokens',
  'minNewTokens',
  'temperature',
  'topK',
  'topP',
  'samples',
  'seed',
  'streamIds',
  'stop',
  'precision',
  'signal',
  'onProgress',
];

export interface CheckedGenerateOptions {
  maxNewTokens: number;
  minNewTokens: number;
  temperature: number;
  topK: number;
  topP: number;
  samples: number;
  seed: bigint;
  /** [prompt * samples + sample]. */
  streamIds: bigint[];
  stop: string[];
  precision: SamplingPrecision;
  signal: AbortSignal | undefined;
  onProgress: GenerateOptions['onProgress'];
}

/**
 * @param promptLengths tokens of each prompt, already below the context
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION, PROMPT_TOO_LONG (prompt plus the asked-for tokens)
 */
export function checkGenerateOptions(
  options: GenerateOptions | undefined,
  promptLengths: readonly number[],
  limits: { vocabSize: number; maxPositions: number },
  owner = 'generate',
): CheckedGenerateOptions {
  const given = checkOptions(options, GENERATE_OPTIONS, owner);
  const longest = Math.max(0, ...promptLengths);
  const maxNewTokens = newTokens(given.maxNewTokens, longest, limits.maxPositions);
  const samples = expectInteger('samples', given.samples ?? 1, { min: 1, max: 65536 });
  return {
    maxNewTokens,
    minNewTokens: expectInteger('minNewTokens', given.minNewTokens ?? 0, { min: 0, max: maxNewTokens }),
    temperature: expectNumber('temperature', given.temperature ?? 1, { min: 0 }),
    topK: expectInteger('topK', given.topK ?? 0, { min: 0, max: limits.vocabSize }),
    topP: expectNumber('topP', given.topP ?? 1, { above: 0, max: 1 }),
    samples,
    seed: expectUint64('seed', given.seed ?? 0),
    streamIds: checkStreamIds(given.streamIds, promptLengths.length, samples),
    stop: checkStop(given.stop),
    precision: expectOneOf('precision', given.precision ?? 'exact', SAMPLING_PRECISIONS),
    signal: expectSignal('signal', given.signal),
    onProgress: given.onProgress === undefined ? undefined : expectFunction('onProgress', given.onProgress),
  };
}

function newTokens(asked: number | undefined, longestPrompt: number, maxPositions: number): number {
  const room = maxPositions - longestPrompt;
  if (asked === undefined) return Math.max(1, Math.min(DEFAULT_NEW_TOKENS, room));
  const maxNewTokens = expectInteger('maxNewTokens', asked, { min: 1 });
  if (maxNewTokens <= room) return maxNewTokens;
  throw new LspError(
    'PROMPT_TOO_LONG',
    `Expected prompt and completion to fit into ${maxPositions} tokens but the longest prompt has ` +
      `${longestPrompt} and \`maxNewTokens\` is ${maxNewTokens}.`,
    {
      remedy: room > 0 ? `Ask for at most ${room} new tokens, or shorten the prompt.` : 'Shorten the prompt.',
    },
  );
}

function checkStreamIds(given: GenerateOptions['streamIds'], prompts: number, samples: number): bigint[] {
  if (given === undefined) return Array.from({ length: prompts * samples }, (_, index) => BigInt(index));
  const rows = expectArray('streamIds', given);
  if (rows.length !== prompts)
    throw invalid('streamIds', `one array for each of the ${prompts} prompts`, given);
  return rows.flatMap((row, prompt) => {
    const ids = expectArray(`streamIds[${prompt}]`, row);
    if (ids.length !== samples) throw invalid(`streamIds[${prompt}]`, `${samples} ids, one a sample`, row);
    return ids.map((id, sample) => expectUint64(`streamIds[${prompt}][${sample}]`, id));
  });
}

function checkStop(given: GenerateOptions['stop']): string[] {
  if (given === undefined) return [];
  const stops = typeof given === 'string' ? [given] : expectArray('stop', given);
  if (stops.length > MAX_STOPS) throw invalid('stop', `at most ${MAX_STOPS} strings`, given);
  return stops.map((stop, index) => expectString(`stop[${index}]`, stop, { allowEmpty: false }));
}

/**
 * Token ids of prompts.
 * @throws LspError INVALID_ARGUMENT (empty, ids outside the vocabulary), PROMPT_TOO_LONG, INVALID_CHAT_TEMPLATE
 */
export function encodePrompts(
  name: string,
  prompts: unknown,
  tokenizer: Tokenizer,
  maxPositions: number,
): Int32Array[] {
  return expectArray(name, prompts).map((prompt, index) =>
    encodePrompt(`${name}[${index}]`, prompt as Prompt, tokenizer, maxPositions),
  );
}

export function encodePrompt(
  name: string,
  prompt: Prompt,
  tokenizer: Tokenizer,
  maxPositions: number,
): Int32Array {
  let ids: Int32Array;
  if (typeof prompt === 'string') {
    ids = tokenizer.encodePrompt(expectString(name, prompt, { allowEmpty: false }));
  } else if (types.isInt32Array(prompt)) {
    ids = prompt;
  } else if (Array.isArray(prompt)) {
    ids = tokenizer.encodeChat(checkMessages(name, prompt));
  } else {
    throw invalid(name, 'a string, messages or an Int32Array of token ids', prompt);
  }
  checkTokens(name, ids, tokenizer.vocabSize);
  if (ids.length >= maxPositions) {
    throw new LspError(
      'PROMPT_TOO_LONG',
      `Expected fewer than ${maxPositions} tokens, the context of the model, for \`${name}\` but received ${ids.length}.`,
      { remedy: 'Shorten the prompt.' },
    );
  }
  return ids;
}

/** A non-empty Int32Array of ids within the vocabulary. */
export function checkTokens(name: string, ids: unknown, vocabSize: number): asserts ids is Int32Array {
  if (!types.isInt32Array(ids)) throw invalid(name, 'an Int32Array of token ids', ids);
  if (ids.length === 0) throw invalid(name, 'at least one token', ids);
  for (let index = 0; index < ids.length; index += 1) {
    const id = ids[index]!;
    if (id < 0 || id >= vocabSize)
      throw invalid(`${name}[${index}]`, `a token id from 0 to ${vocabSize - 1}`, id);
  }
}

/**
 * Checks sequences of tokens that are to be scored, each no longer than the model's context.
 * @throws LspError INVALID_ARGUMENT, PROMPT_TOO_LONG
 */
export function checkSequences(
  name: string,
  sequences: unknown,
  { vocabSize, maxPositions }: Pick<ModelConfig, 'vocabSize' | 'maxPositions'>,
): Int32Array[] {
  return expectArray(name, sequences).map((sequence, index) => {
    checkTokens(`${name}[${index}]`, sequence, vocabSize);
    if (sequence.length <= maxPositions) return sequence;
    throw new LspError(
      'PROMPT_TOO_LONG',
      `Expected at most ${maxPositions} tokens, the context of the model, for \`${name}[${index}]\` but received ` +
        `${sequence.length}.`,
      { remedy: 'Shorten the sequence.' },
    );
  });
}
