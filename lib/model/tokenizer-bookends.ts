/** The tokens that `addSpecial` puts around a text, read from a tokenizer.json's post-processor. */
import type { LspError } from '../errors';
import { describe, isRecord } from '../options';
import { corrupt } from './formats/model-file';
import type { TokenizerSource } from './formats/model-source';

export interface Bookends {
  before: number[];
  after: number[];
}

/** Tokens around a text; no model wants more than a few. */
const MAX_TOKENS = 64;

/**
 * Explicit settings (add_bos_token, add_eos_token) come before the post-processor's template.
 *
 * @param path to name in errors
 * @throws LspError INVALID_MODEL_FILE, also for ids that are not below `vocabSize`
 */
export function bookends(source: TokenizerSource, vocabSize: number, path: string): Bookends {
  const { before, after } = new PostProcessorReader(path, vocabSize).read(source.spec['post_processor']);
  const explicit = explicitBookends(source);
  return {
    before: source.addBos === undefined ? before : explicit.before,
    after: source.addEos === undefined ? after : explicit.after,
  };
}

/** What the explicit settings alone say. */
export function explicitBookends({ addBos, addEos, specialTokens }: TokenizerSource): Bookends {
  const { bos, eos } = specialTokens;
  return { before: addBos && bos ? [bos.id] : [], after: addEos && eos ? [eos.id] : [] };
}

class PostProcessorReader {
  constructor(
    private readonly path: string,
    private readonly vocabSize: number,
  ) {}

  read(processor: unknown): Bookends {
    const result: Bookends = { before: [], after: [] };
    this.#add(processor, result);
    return result;
  }

  #add(processor: unknown, result: Bookends): void {
    if (!isRecord(processor)) return;
    switch (processor['type']) {
      case 'Sequence': {
        const parts: unknown = processor['processors'];
        if (Array.isArray(parts)) for (const part of parts as unknown[]) this.#add(part, result);
        return;
      }
      case 'TemplateProcessing':
        this.#addTemplate(processor, result);
        return;
      case 'BertProcessing':
      case 'RobertaProcessing':
        this.#push(result.before, pairId(processor['cls']), '`cls`');
        this.#push(result.after, pairId(processor['sep']), '`sep`');
    }
  }

  /** `single` lists special tokens around one sequence; `special_tokens` has their ids. */
  #addTemplate(processor: Record<string, unknown>, result: Bookends): void {
    const single = processor['single'];
    const known = processor['special_tokens'];
    if (!Array.isArray(single) || !isRecord(known)) throw this.#corrupt('it has no proper template');
    let side = result.before;
    for (const piece of single as unknown[]) {
      if (isRecord(piece) && 'Sequence' in piece) {
        side = result.after;
        continue;
      }
      const special = isRecord(piece) ? piece['SpecialToken'] : undefined;
      const name = isRecord(special) ? special['id'] : undefined;
      const what = `the token ${describe(name)}`;
      const entry = typeof name === 'string' && Object.hasOwn(known, name) ? known[name] : undefined;
      const ids: unknown = isRecord(entry) ? entry['ids'] : undefined;
      if (!Array.isArray(ids)) throw this.#corrupt(`${what} has no ids`);
      for (const id of ids as unknown[]) this.#push(side, id, what);
    }
  }

  #push(side: number[], id: unknown, what: string): void {
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0 || id >= this.vocabSize) {
      throw this.#corrupt(
        `${what} has the id ${describe(id)}, not one below the ${this.vocabSize} rows of the embedding`,
      );
    }
    if (side.length === MAX_TOKENS)
      throw this.#corrupt(`it puts more than ${MAX_TOKENS} tokens beside a text`);
    side.push(id);
  }

  #corrupt(what: string): LspError {
    return corrupt(this.path, `\`post_processor\`: ${what}.`);
  }
}

/** [token, id] */
function pairId(pair: unknown): unknown {
  return Array.isArray(pair) ? pair[1] : undefined;
}
