/**
 * The Rust tokenizers behind synchronous calls. One worker thread serves all tokenizers of the process; each
 * specification is loaded there once, on first use.
 */
import { LspError } from '../errors';
import { SyncWorker, WorkerTimeout } from './sync-worker';
import { tokenizerBinding } from './tokenizer-binding';

const HOST_BODY = `
  const { Tokenizer } = require(data.module);
  const loaded = new Map();
  return async ({ action, key, specification, texts }) => {
    if (action === 'load') {
      const tokenizer = Tokenizer.fromString(specification);
      loaded.set(key, tokenizer);
      return texts.map((text) => tokenizer.tokenToId(text));
    }
    if (action === 'unload') return void loaded.delete(key);
    const lists = [];
    for (const text of texts) {
      const encoding = await loaded.get(key).encode(text, null, { addSpecialTokens: false });
      lists.push(Int32Array.from(encoding.getIds()));
    }
    return lists;
  };`;

const LOAD_TIMEOUT_MS = 60_000;
const ENCODE_TIMEOUT_MS = 30_000;
/** Long texts may take longer: the slowest seen is some hundred characters a millisecond. */
const ENCODE_TIMEOUT_MS_PER_CHARACTER = 0.1;

let host: SyncWorker | undefined;
let nextKey = 1;

/** Frees a tokenizer of the worker when its JavaScript side is collected. */
const unloading = new FinalizationRegistry<{ key: number; generation: number }>(({ key, generation }) => {
  if (host?.generation === generation) host.send({ action: 'unload', key });
});

/** One specification in the worker. */
export class HostedTokenizer {
  #key = 0;
  #generation = -1;

  /**
   * @param makeSpecification the tokenizer.json object; called again should the worker have to be restarted
   * @param expectedIds tokens whose ids must come out as given (the library numbers added tokens itself)
   * @param path the file to name in errors
   */
  constructor(
    private readonly makeSpecification: () => object,
    private readonly expectedIds: ReadonlyMap<string, number>,
    private readonly path: string,
  ) {}

  /** Token ids of each text, without anything added. */
  encode(texts: readonly string[]): Int32Array[] {
    this.#load();
    const characters = texts.reduce((sum, text) => sum + text.length, 0);
    try {
      const timeoutMs = ENCODE_TIMEOUT_MS + characters * ENCODE_TIMEOUT_MS_PER_CHARACTER;
      const lists = host!.call({ action: 'encode', key: this.#key, texts }, timeoutMs) as Int32Array[];
      // Copied, because what comes out of a port belongs to the main realm even where this code runs in another.
      return lists.map((ids) => Int32Array.from(ids));
    } catch (error) {
      throw tokenizerError(this.path, 'a tokenizer that encodes the text', error);
    }
  }

  #load(): void {
    tokenizerBinding(); // where it is missing, that is the error, and not the worker's
    host ??= new SyncWorker(HOST_BODY, { module: require.resolve('tokenizers') });
    if (this.#generation === host.generation) return;
    const key = nextKey++;
    const texts = [...this.expectedIds.keys()];
    let ids: unknown[];
    try {
      const specification = JSON.stringify(this.makeSpecification());
      ids = host.call({ action: 'load', key, specification, texts }, LOAD_TIMEOUT_MS) as unknown[];
    } catch (error) {
      throw tokenizerError(this.path, 'a tokenizer specification that loads', error);
    }
    for (const [index, text] of texts.entries()) {
      const wanted = this.expectedIds.get(text);
      if (ids[index] !== wanted) {
        throw new LspError(
          'UNSUPPORTED_MODEL',
          `${this.path}: expected token ${JSON.stringify(text)} to have the id ${wanted} but the tokenizer gives ${String(ids[index])}.`,
          { remedy: 'The ids of its added tokens leave gaps that this tokenizer library cannot represent.' },
        );
      }
    }
    this.#key = key;
    this.#generation = host.generation;
    unloading.register(this, { key, generation: host.generation });
  }
}

function tokenizerError(path: string, expected: string, error: unknown): LspError {
  if (error instanceof LspError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const what = error instanceof WorkerTimeout ? `${reason}: its patterns may never end` : reason;
  return new LspError(
    'INVALID_MODEL_FILE',
    `${path}: expected ${expected} but it failed: ${what.slice(0, 300)}.`,
    { remedy: "The model's tokenizer is damaged: download or convert it again.", cause: error },
  );
}

/** Token texts → text, as the specification's decoder does it (this part of the binding is synchronous). */
export function makeTextDecoder(decoder: unknown, path: string): (tokens: string[]) => string {
  if (decoder === null || decoder === undefined) return (tokens) => tokens.join(' ');
  const { Tokenizer } = tokenizerBinding();
  const empty = { type: 'BPE', vocab: {}, merges: [] };
  const parts = {
    truncation: null,
    padding: null,
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
  };
  try {
    const tokenizer = Tokenizer.fromString(
      JSON.stringify({ version: '1.0', added_tokens: [], ...parts, decoder, model: empty }),
    );
    const rust = tokenizer.getDecoder();
    if (!rust) return (tokens) => tokens.join(' ');
    return (tokens) => rust.decode(tokens);
  } catch (error) {
    throw tokenizerError(path, 'a tokenizer whose decoder loads', error);
  }
}
