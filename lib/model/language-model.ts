/**
 * A language model that samples, scores and saves: the face of the native engine. Everything a caller gives is
 * checked here, so that native code sees only sound arguments; results come back as typed arrays and text.
 */
import { LspError } from '../errors';
import type { NativeAdapter, NativeModel } from '../native/addon';
import { withSignal } from '../native/call';
import {
  checkOptions,
  expectArray,
  expectBoolean,
  expectInteger,
  expectNumber,
  expectOneOf,
  expectSignal,
  expectString,
  invalid,
} from '../options';
import { adapterInfo, type AdapterInfo, readPeftAdapter, readSettings, savePeftAdapter } from './adapter';
import {
  checkGenerateOptions,
  checkSequences,
  checkTokens,
  encodePrompt,
  encodePrompts,
} from './generate-options';
import { generateCompletions, type GenerationContext, streamText } from './generation';
import { type Compute, LOAD_OPTION_NAMES, type LoadedModel, type LoadOptions, loadModel } from './loading';
import type { WeightType } from './memory';
import { saveHuggingFace, type SavedType } from './save';
import type { Tokenizer } from './tokenizer';
import {
  SAMPLING_PRECISIONS,
  type Completion,
  type GenerateOptions,
  type LogprobOptions,
  type ModelConfig,
  type Prompt,
} from './types';

export interface SaveOptions {
  format?: 'safetensors';
  /** Type of the stored values (default f32, which loses nothing). */
  dtype?: SavedType;
  signal?: AbortSignal;
}

export interface LanguageModelLoadOptions extends LoadOptions {
  /** A PEFT directory (adapter_config.json, adapter_model.safetensors): a LoRA adapter to put on the model. */
  adapter?: string;
}

export interface SaveAdapterOptions {
  /** Type of the stored values (default f32, which loses nothing). */
  dtype?: SavedType;
  /** What PEFT's AutoPeftModel loads beneath it (`base_model_name_or_path`): a path or a hub id. */
  baseModel?: string;
  signal?: AbortSignal;
}

export interface CloneOptions {
  /** With its adapter, if there is one (default); without, it is the model that the adapter stands on. */
  adapter?: boolean;
}

/** Something whose native side uses a model's, and must be freed before it. */
export interface ModelChild {
  dispose(): Promise<void>;
}

export class LanguageModel implements AsyncDisposable {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Bytes for activations or cached keys and values, as given to `load`. */
  readonly memoryBudget: number;
  /** How weights are held in memory. Of a model that is not in f32 only an adapter can be trained. */
  readonly dtype: WeightType;
  /** What products of matrices are computed in; clones have the same. */
  readonly compute: Compute;
  readonly #native: NativeModel;
  readonly #children = new Set<ModelChild>();
  #disposal: Promise<void> | undefined;

  private constructor({ native, config, tokenizer, memoryBudget, dtype, compute }: LoadedModel) {
    this.#native = native;
    this.config = config;
    this.tokenizer = tokenizer;
    this.memoryBudget = memoryBudget;
    this.dtype = dtype;
    this.compute = compute;
  }

  /**
   * Loads a model into memory.
   *
   * @param source a .gguf file or a Hugging Face directory of a model of a known family, 'tiny', the bundled model, or a
   *   hub id ('org/name', 'org/name@revision', 'org/name:file.gguf'), which is downloaded on first use
   * @throws LspError IO_ERROR, HUB_UNAVAILABLE, HUB_REFUSED, INVALID_MODEL_FILE (weights, configuration, tokenizer or
   *   adapter are damaged), INVALID_CHAT_TEMPLATE (it does not parse), UNSUPPORTED_MODEL, OUT_OF_MEMORY (the weights cannot
   *   fit), INVALID_ARGUMENT, UNKNOWN_OPTION, NATIVE_LOAD_FAILED; the signal's reason when aborted
   */
  static async load(source: string, options?: LanguageModelLoadOptions): Promise<LanguageModel> {
    const given = checkOptions(options, [...LOAD_OPTION_NAMES, 'adapter'], 'load');
    const { adapter, ...rest } = given;
    if (adapter !== undefined) readSettings(expectString('adapter', adapter, { allowEmpty: false }));
    const model = new LanguageModel(await loadModel(source, rest, 'language'));
    try {
      if (adapter !== undefined) await model.loadAdapter(adapter, { signal: given.signal });
      return model;
    } catch (error) {
      await model.dispose();
      throw error;
    }
  }

  /** Increases by one with every change of the weights. */
  get policyVersion(): number {
    return this.native.policyVersion();
  }

  /**
   * The native side, for the Learner.
   * @internal
   */
  get native(): NativeModel {
    if (this.#disposal) {
      throw new LspError('DISPOSED', 'Expected a model in use but it has been disposed.', {
        remedy: 'Load the model again, or dispose it later.',
      });
    }
    return this.#native;
  }

  /**
   * Samples completions. The same prompt, options, seed and stream id give the same tokens and the same bits of
   * log-probability in any batch, with any number of threads.
   *
   * @param prompts text (encoded as it is), messages (through the chat template) or token ids, each
   * @returns [prompt][sample]
   * @throws LspError INVALID_ARGUMENT (also for an empty prompt), UNKNOWN_OPTION, PROMPT_TOO_LONG,
   *   INVALID_CHAT_TEMPLATE, OUT_OF_MEMORY, DISPOSED; the signal's reason when aborted
   */
  async generate(prompts: readonly Prompt[], options?: GenerateOptions): Promise<Completion[][]> {
    const context = this.#context();
    const ids = encodePrompts('prompts', prompts, this.tokenizer, this.config.maxPositions);
    const lengths = ids.map(({ length }) => length);
    const checked = checkGenerateOptions(options, lengths, this.config);
    return generateCompletions(context, ids, checked);
  }

  /**
   * Text of one completion in pieces, as it is sampled; leaving the loop cancels. Options as in `generate`, for one
   * sample. The pieces together are the completion's text; the completion itself is what the generator returns, for
   * those who take its steps one by one.
   */
  stream(prompt: Prompt, options?: GenerateOptions): AsyncGenerator<string, Completion, undefined> {
    const context = this.#context();
    const ids = encodePrompt('prompt', prompt, this.tokenizer, this.config.maxPositions);
    const checked = checkGenerateOptions(options, [ids.length], this.config, 'stream');
    if (checked.samples !== 1) throw invalid('samples', '1', checked.samples, 'A stream is one completion.');
    return streamText(context, ids, checked);
  }

  /**
   * Log-probabilities of given tokens.
   *
   * @param sequences token ids, at least one each
   * @returns per sequence of n tokens with a prompt of p: n − p values, entry t is log p(token p+t | tokens 0..p+t−1)
   * @throws LspError INVALID_ARGUMENT, PROMPT_TOO_LONG, DISPOSED; the signal's reason when aborted
   */
  async logprobs(sequences: readonly Int32Array[], options?: LogprobOptions): Promise<Float32Array[]> {
    const given = checkOptions(options, ['temperature', 'promptLengths', 'precision', 'signal'], 'logprobs');
    const temperature = expectNumber('temperature', given.temperature ?? 1, { above: 0 });
    const precision = expectOneOf('precision', given.precision ?? 'exact', SAMPLING_PRECISIONS);
    const signal = expectSignal('signal', given.signal);
    const checked = checkSequences('sequences', sequences, this.config);
    const prompts = checkPromptLengths(given.promptLengths, checked);
    const { native } = this;
    signal?.throwIfAborted();
    if (checked.length === 0) return [];
    const scored = checked.map((tokens, index) => ({ tokens, promptLength: prompts[index]! }));
    const result = await withSignal(signal, (handle) =>
      native.logprobs(scored, temperature, handle, precision),
    );
    return result.logprobs;
  }

  /**
   * How likely each candidate token is to come next.
   *
   * @returns per prompt: log p(candidate | prompt), one value a candidate
   * @throws LspError INVALID_ARGUMENT, PROMPT_TOO_LONG, DISPOSED; the signal's reason when aborted
   */
  async nextLogprobs(
    prompts: readonly Prompt[],
    candidates: Int32Array,
    options?: { signal?: AbortSignal },
  ): Promise<Float32Array[]> {
    const given = checkOptions(options, ['signal'], 'nextLogprobs');
    const signal = expectSignal('signal', given.signal);
    checkTokens('candidates', candidates, this.config.vocabSize);
    const ids = encodePrompts('prompts', prompts, this.tokenizer, this.config.maxPositions + 1);
    const { native } = this;
    signal?.throwIfAborted();
    if (ids.length === 0) return [];
    return withSignal(signal, (handle) => native.nextLogprobs(ids, candidates, handle));
  }

  /** Parameter names, in Hugging Face's spelling; those of the adapter, in PEFT's, come last. */
  parameterNames(): string[] {
    return this.native.parameterNames();
  }

  /** Values of a parameter, row-major in Hugging Face's layout. */
  async parameter(name: string): Promise<Float32Array> {
    const { native } = this;
    checkParameterName(native, name);
    return withSignal(undefined, () => native.readTensor(name));
  }

  /**
   * Writes a Hugging Face directory (config.json, generation_config.json, tokenizer files, model.safetensors) that
   * transformers loads, with an adapter added to the weights in f32: alone it computes what this model does. Nothing
   * partial is left after a failure.
   *
   * @param dir made if missing; must be empty or hold a model saved before, which is replaced
   * @throws LspError IO_ERROR, INVALID_ARGUMENT, UNKNOWN_OPTION, DISPOSED; the signal's reason when aborted
   */
  async save(dir: string, options?: SaveOptions): Promise<void> {
    const given = checkOptions(options, ['format', 'dtype', 'signal'], 'save');
    expectOneOf('format', given.format ?? 'safetensors', ['safetensors']);
    const dtype = expectOneOf('dtype', given.dtype ?? 'f32', ['f32', 'f16', 'bf16']);
    const signal = expectSignal('signal', given.signal);
    const { native } = this;
    signal?.throwIfAborted();
    await saveHuggingFace(expectString('dir', dir, { allowEmpty: false }), {
      config: this.config,
      tokenizer: this.tokenizer.source,
      dtype,
      writeWeights: (path) => withSignal(signal, (handle) => native.saveSafetensors(path, dtype, handle)),
    });
  }

  /** The LoRA adapter on this model; null where there is none. */
  get adapter(): AdapterInfo | null {
    const adapter = this.native.adapter();
    return adapter && adapterInfo(adapter, this.config);
  }

  /**
   * Puts a LoRA adapter on the model, in place of another: every answer and log-probability from now on is with it.
   *
   * @param dir a PEFT directory: adapter_config.json, adapter_model.safetensors
   * @throws LspError INVALID_MODEL_FILE (damaged, or of another model), UNSUPPORTED_MODEL (more than a plain LoRA),
   *   INVALID_ARGUMENT (a learner trains this model), IO_ERROR, DISPOSED; the signal's reason when aborted
   */
  async loadAdapter(dir: string, options?: { signal?: AbortSignal }): Promise<void> {
    const signal = expectSignal('signal', checkOptions(options, ['signal'], 'loadAdapter').signal);
    this.#requireUntrained('loadAdapter');
    const { native } = this;
    const path = expectString('dir', dir, { allowEmpty: false });
    const { adapter, tensors } = readPeftAdapter(path, this.config);
    signal?.throwIfAborted();
    await withSignal(signal, (handle) => native.attachAdapter(adapter, 0n, tensors, handle));
  }

  /**
   * Writes the adapter as a directory that PEFT loads (adapter_config.json, adapter_model.safetensors). Nothing partial
   * is left after a failure.
   *
   * @param dir made if missing; must be empty or hold an adapter saved before, which is replaced
   * @throws LspError INVALID_ARGUMENT (also where there is no adapter), UNKNOWN_OPTION, IO_ERROR, DISPOSED; the signal's
   *   reason when aborted
   */
  async saveAdapter(dir: string, options?: SaveAdapterOptions): Promise<void> {
    const given = checkOptions(options, ['dtype', 'baseModel', 'signal'], 'saveAdapter');
    const dtype = expectOneOf('dtype', given.dtype ?? 'f32', ['f32', 'f16', 'bf16']);
    const baseModel = given.baseModel === undefined ? null : expectString('baseModel', given.baseModel);
    const signal = expectSignal('signal', given.signal);
    const { native } = this;
    signal?.throwIfAborted();
    await savePeftAdapter(expectString('dir', dir, { allowEmpty: false }), {
      adapter: this.#requireAdapter('saveAdapter', native),
      config: this.config,
      baseModel,
      writeWeights: (path) => withSignal(signal, (handle) => native.saveAdapter(path, dtype, handle)),
    });
  }

  /**
   * Adds the adapter to the weights (W += s B A, in f32; a model in bf16 or int8 rounds the sums) and takes it off: the model
   * then computes the same up to rounding, at the speed of one without an adapter.
   *
   * @throws LspError INVALID_ARGUMENT (there is none, or a learner trains it), INVALID_MODEL_FILE (sums that int8
   *   cannot hold), OUT_OF_MEMORY, DISPOSED; the signal's reason when aborted: then nothing has changed
   */
  async merge(options?: { signal?: AbortSignal }): Promise<void> {
    const signal = expectSignal('signal', checkOptions(options, ['signal'], 'merge').signal);
    this.#requireUntrained('merge');
    const { native } = this;
    this.#requireAdapter('merge', native);
    signal?.throwIfAborted();
    await withSignal(signal, (handle) => native.mergeAdapter(handle));
  }

  /**
   * A model with the same weights, shared until either side changes them: the frozen reference of a training. That of
   * an adapter's training is `clone({ adapter: false })`, the base itself at no cost.
   */
  async clone(options?: CloneOptions): Promise<LanguageModel> {
    const given = checkOptions(options, ['adapter'], 'clone');
    const withAdapter = expectBoolean('adapter', given.adapter ?? true);
    const source = this.native;
    const native = await withSignal(undefined, () => source.clone(withAdapter));
    return new LanguageModel({
      native,
      config: this.config,
      tokenizer: this.tokenizer,
      memoryBudget: this.memoryBudget,
      dtype: this.dtype,
      compute: this.compute,
    });
  }

  /** Frees everything, after the operations under way and after what was made from this model. Idempotent. */
  async dispose(): Promise<void> {
    this.#disposal ??= this.#dispose();
    return this.#disposal;
  }

  async #dispose(): Promise<void> {
    await Promise.all([...this.#children].map((child) => child.dispose()));
    await this.#native.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /**
   * Ties the life of a child to this model; returns the function that ends the tie.
   * @internal
   */
  adopt(child: ModelChild): () => void {
    this.#children.add(child);
    return () => this.#children.delete(child);
  }

  /** Whose adapter, or absence of one, a learner was made for keeps it. */
  #requireUntrained(method: string): void {
    if (this.#children.size === 0) return;
    throw new LspError('INVALID_ARGUMENT', `Expected a model without a learner for \`${method}\`.`, {
      remedy: 'Dispose the learner first, or use a clone.',
    });
  }

  #requireAdapter(method: string, native: NativeModel): NativeAdapter {
    const adapter = native.adapter();
    if (adapter) return adapter;
    throw new LspError('INVALID_ARGUMENT', `Expected a model with an adapter for \`${method}\`.`, {
      remedy: 'Train one (`Learner.create(model, { lora: {} })`), or load one (`loadAdapter`).',
    });
  }

  #context(): GenerationContext {
    return {
      native: this.native,
      config: this.config,
      tokenizer: this.tokenizer,
      eosIds: Int32Array.from(this.tokenizer.eosTokenIds),
      memoryBudget: this.memoryBudget,
    };
  }
}

function checkPromptLengths(given: unknown, sequences: readonly Int32Array[]): number[] {
  if (given === undefined) return sequences.map(() => 1);
  const lengths = expectArray('promptLengths', given);
  if (lengths.length !== sequences.length)
    throw invalid('promptLengths', `one number for each of ${sequences.length} sequences`, given);
  return lengths.map((length, index) =>
    expectInteger(`promptLengths[${index}]`, length, { min: 1, max: sequences[index]!.length }),
  );
}

/** Refuses a name that is no parameter of the model. */
export function checkParameterName(native: NativeModel, name: unknown): asserts name is string {
  if (typeof name === 'string' && native.parameterNames().includes(name)) return;
  throw invalid('name', 'the name of a parameter', name, 'See `model.parameterNames()`.');
}
