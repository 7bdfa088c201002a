/** The tokens that `addSpecial` puts around a text, read from a tokenizer.json's post-processor. */
import { isRecord } from '../options';
import { corrupt } from './formats/model-file';
import type { TokenizerSource } from './formats/model-source';

export interface Bookends {
  before: number[];
  after: number[];
}

/** Explicit settings (add_bos_token, add_eos_token) come before the post-processor's template. */
export function bookends(source: TokenizerSource): Bookends {
  const { before, after } = fromPostProcessor(source.spec['post_processor']);
  const { bos, eos } = source.specialTokens;
  return {
    before: source.addBos === undefined ? before : source.addBos && bos ? [bos.id] : [],
    after: source.addEos === undefined ? after : source.addEos && eos ? [eos.id] : [],
  };
}

function fromPostProcessor(processor: unknown): Bookends {
  const none: Bookends = { before: [], after: [] };
  if (!isRecord(processor)) return none;
  switch (processor['type']) {
    case 'Sequence': {
      const parts = Array.isArray(processor['processors'])
        ? processor['processors'].map(fromPostProcessor)
        : [];
      return {
        before: parts.flatMap(({ before }) => before),
        after: parts.flatMap(({ after }) => after),
      };
    }
    case 'TemplateProcessing':
      return fromTemplate(processor);
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { before: [tokenId(processor['cls'])], after: [tokenId(processor['sep'])] };
    default:
      return none;
  }
}

/** `single` lists special tokens around one sequence; `special_tokens` has their ids. */
function fromTemplate(processor: Record<string, unknown>): Bookends {
  const result: Bookends = { before: [], after: [] };
  const single = processor['single'];
  const known = processor['special_tokens'];
  if (!Array.isArray(single) || !isRecord(known)) throw corruptProcessor('it has no proper template');
  let side = result.before;
  for (const piece of single as unknown[]) {
    if (isRecord(piece) && 'Sequence' in piece) {
      side = result.after;
      continue;
    }
    const special = isRecord(piece) ? piece['SpecialToken'] : undefined;
    const name = isRecord(special) ? special['id'] : undefined;
    const entry = typeof name === 'string' ? known[name] : undefined;
    const ids: unknown = isRecord(entry) ? entry['ids'] : undefined;
    if (!Array.isArray(ids) || !ids.every(isId))
      throw corruptProcessor(`it names the unknown token ${String(name)}`);
    side.push(...ids);
  }
  return result;
}

function tokenId(pair: unknown): number {
  const id: unknown = Array.isArray(pair) ? pair[1] : undefined;
  if (isId(id)) return id;
  throw corruptProcessor('it names a token without an id');
}

function isId(id: unknown): id is number {
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0;
}

function corruptProcessor(what: string) {
  return corrupt('tokenizer.json', `\`post_processor\`: ${what}.`);
}
