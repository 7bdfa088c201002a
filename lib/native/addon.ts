/**
 * The whole native surface, typed in one place.
 *
 * Conventions: every long operation returns a promise and runs on the model's own worker thread, in the order
 * asked (one queue per model; clones have their own). Inputs are copied before the call returns, so callers may
 * reuse their arrays. A failed operation rejects with an Error whose `code` is an `LspErrorCode`; an aborted one
 * rejects with code 'ABORTED', which lib/native/call.ts turns into the AbortSignal's reason.
 * Token ids are Int32Array; log-probabilities and gradients are Float32Array.
 */

/** How a tensor's bytes are stored in its file. Block formats are those of GGUF. */
export type StoredType =
  | 'f32'
  | 'f16'
  | 'bf16'
  | 'q8_0'
  | 'q4_0'
  | 'q4_1'
  | 'q5_0'
  | 'q5_1'
  | 'q2_k'
  | 'q3_k'
  | 'q4_k'
  | 'q5_k'
  | 'q6_k'
  | 'iq4_nl'
  | 'iq4_xs';

/** Llama-family geometry. Sizes are in elements, positions in tokens. */
export interface NativeModelConfig {
  hiddenSize: number;
  intermediateSize: number;
  numLayers: number;
  numHeads: number;
  numKeyValueHeads: number;
  headSize: number;
  vocabSize: number;
  maxPositions: number;
  rmsNormEps: number;
  ropeTheta: number;
  /** Llama-3 frequency scaling; absent for plain RoPE. */
  ropeScaling?: {
    factor: number;
    lowFreqFactor: number;
    highFreqFactor: number;
    originalMaxPositions: number;
  };
  tiedEmbeddings: boolean;
  /** A bias is added to q, k and v; absent for false. */
  qkvBias?: boolean;
  /** RMSNorm over each head of q and of k, before RoPE; absent for false. */
  qkNorm?: boolean;
  /** Indices of the layers whose q and k are not turned by position; absent for none. */
  layersWithoutRope?: readonly number[];
  /** Outputs of a scoring head (`score.weight`) in place of the LM head, 1..65536; absent for an LM head. */
  scoreLabels?: number;
  /** Token whose input embedding gets no gradient, as in transformers (`padding_idx`); absent for none. */
  paddingTokenId?: number;
}

export interface NativeModelOptions {
  /** Compute threads, 1..256. */
  threads: number;
  /**
   * How matrices are held, default f32; all others make a model frozen. bf16 and stored (those of the layers as they are
   * in the file) compute the bits of f32 from the same values, int8 rounds to blocks of 32 with a scale.
   */
  weights?: 'f32' | 'bf16' | 'stored' | 'int8';
  /** What products of matrices are computed in, default f32: in bf16, factors are rounded and sums are f32. */
  compute?: 'f32' | 'bf16';
}

/** Where one tensor lies in a file, in Hugging Face naming and row-major [rows, columns] (or [columns]) shape. */
export interface TensorLocation {
  /** Hugging Face name, e.g. `model.layers.0.self_attn.q_proj.weight`. */
  name: string;
  path: string;
  /** Byte offset in the file. */
  offset: number;
  byteLength: number;
  type: StoredType;
  shape: number[];
  /** GGUF `llama`: q and k rows are permuted for its RoPE layout; true undoes it (needs `heads`). */
  ropePermuted?: boolean;
}

export interface NativeSampling {
  temperature: number; // 0 is greedy
  topK: number; // 0 is off
  topP: number; // 1 is off
  minNewTokens: number;
  maxNewTokens: number;
  /** Philox key of the call. */
  seed: bigint;
}

export interface NativeSequenceRequest {
  prompt: Int32Array;
  /** Random stream of this sequence: the same (seed, stream, position) draws the same number in any batch. */
  streamId: bigint;
}

export interface NativeGenerateOptions extends NativeSampling {
  eosIds: Int32Array;
  /** Most sequences decoded together. */
  maxBatch: number;
  /** `exact` (default): as in training. */
  precision?: 'exact' | 'int8';
  /**
   * Called on the JavaScript thread for batches of fresh tokens: parallel arrays, `sequence` is the index in
   * `requests`. To end a sequence early (stop strings), call `handle.finish(sequence)`.
   */
  onTokens?: (sequences: Int32Array, tokens: Int32Array) => void;
}

export interface NativeCompletion {
  /** Sampled tokens, with the EOS that ended the sequence if one did. */
  tokens: Int32Array;
  /** log p(token) at temperature 1, one per token. */
  logprobs: Float32Array;
  /** Entropy in nats of the distribution at temperature 1 each token was drawn from. */
  entropies: Float32Array;
  /** In int8 alone: log p of each token at the temperature of the sampling (1 where that is greedy). */
  sampledLogprobs?: Float32Array;
  finishReason: 'eos' | 'stop' | 'length';
}

/** Cancels or steers operations under way; may be set from any moment on. */
export interface NativeHandle {
  /** Makes the operation reject with code 'ABORTED' at its next poll (a layer or a token). */
  abort(): void;
  /** generate only: ends that sequence at its next token with finishReason 'stop'. */
  finish(sequence: number): void;
}

export interface NativeLogprobs {
  /** Per sequence, one value a token after the prompt: log p(token | tokens before it). */
  logprobs: Float32Array[];
  /** Per sequence, as many: entropy in nats of each predictive distribution. */
  entropies: Float32Array[];
}

/** A low-rank adapter: for each of `matrices`, y = x W^T + scale (x A^T) B^T, scale = alpha / rank. */
export interface NativeAdapter {
  rank: number;
  alpha: number;
  /** scale = alpha / sqrt(rank). */
  rsLora: boolean;
  /** Names of projections, e.g. `model.layers.0.self_attn.q_proj.weight`. */
  matrices: string[];
}

export interface NativeModel {
  /** Reads and repacks tensors; validates type, shape and range against the real file. */
  loadTensors(tensors: TensorLocation[], handle: NativeHandle): Promise<void>;
  /** Names of parameters not loaded yet. */
  missingTensors(): string[];
  /** Those of the adapter, if there is one, come last. */
  parameterNames(): string[];
  /** What a learner trains: the adapter's parameters, or all where there is none. */
  trainedNames(): string[];
  parameterShape(name: string): number[];
  /** Row-major values in Hugging Face layout. */
  readTensor(name: string): Promise<Float32Array>;
  /** Overwrites a parameter with row-major values in Hugging Face layout. */
  writeTensor(name: string, values: Float32Array): Promise<void>;
  generate(
    requests: NativeSequenceRequest[],
    options: NativeGenerateOptions,
    handle: NativeHandle,
  ): Promise<NativeCompletion[]>;
  /**
   * Log-probabilities at `temperature` (logits divided by it).
   * @param precision `exact` (default): of what is trained; `int8`: of what samples in int8
   */
  logprobs(
    sequences: NativeTrainSequence[],
    temperature: number,
    handle: NativeHandle,
    precision?: 'exact' | 'int8',
  ): Promise<NativeLogprobs>;
  /** log p(candidate | prompt) for each prompt and candidate token: Float32Array of candidates.length each. */
  nextLogprobs(prompts: Int32Array[], candidates: Int32Array, handle: NativeHandle): Promise<Float32Array[]>;
  /** Models with a scoring head: its outputs at the last token of each sequence, `scoreLabels` each. */
  scoreLast(sequences: Int32Array[], handle: NativeHandle): Promise<Float32Array[]>;
  /**
   * Writes one safetensors file (all weights, an adapter added to them, Hugging Face names and layout, `metadata` strings in the header)
   * under a temporary name, fsyncs, renames. dtype of the stored values: f32, f16 or bf16.
   */
  saveSafetensors(path: string, dtype: 'f32' | 'f16' | 'bf16', handle: NativeHandle): Promise<void>;
  /**
   * Puts an adapter on the model, in place of another, all or nothing. `tensors`: its values, under the names that PEFT
   * gives them in its files; none for fresh ones that follow from the seed.
   */
  attachAdapter(
    adapter: NativeAdapter,
    seed: bigint,
    tensors: TensorLocation[],
    handle: NativeHandle,
  ): Promise<void>;
  adapter(): NativeAdapter | null;
  /** As `saveSafetensors`, of the adapter's parameters alone. */
  saveAdapter(path: string, dtype: 'f32' | 'f16' | 'bf16', handle: NativeHandle): Promise<void>;
  /** Adds the adapter to the weights and takes it off, all or nothing. */
  mergeAdapter(handle: NativeHandle): Promise<void>;
  /**
   * Shares storage until either side changes (copy on write, tensor by tensor). Queued like any operation. Without the
   * adapter it is the model that the adapter stands on.
   */
  clone(withAdapter?: boolean): Promise<NativeModel>;
  /** Bytes of weights held by this model alone or shared. */
  weightBytes(): number;
  /** Increases by one with every change of the weights. */
  policyVersion(): number;
  /** Waits for the operation under way, frees everything. Idempotent. */
  dispose(): Promise<void>;
}

export interface NativeLearnerOptions {
  /** Bytes of activations one micro-batch may hold; at least one sequence always runs. */
  activationBudgetBytes: number;
  /** Keep only the layers' inputs, and compute the rest once more in the backward pass. */
  gradientCheckpointing: boolean;
}

export interface NativeTrainSequence {
  /** Prompt tokens, then completion tokens. */
  tokens: Int32Array;
  /** Number of prompt tokens, at least 1. */
  promptLength: number;
  /** Sequences of one number (default 0) have their loss computed together. */
  group?: number;
}

/**
 * dLoss/dlogprob of a group's sequences, one value a completion token, given their log-probabilities, in the order of
 * the sequences. Called on the JavaScript thread, while the worker waits.
 */
export type NativeGroupLoss = (group: number, logprobs: Float32Array[]) => Float32Array[];

export interface NativeAdamW {
  learningRate: number;
  beta1: number;
  beta2: number;
  eps: number;
  /** Decoupled; applied to matrices (two-dimensional parameters) only. */
  weightDecay: number;
  /** Global L2 norm the gradient is scaled down to; Infinity is off. */
  maxGradNorm: number;
}

export interface NativeLearner {
  /**
   * Adds the gradient of sum(lossGradient * logprob) to the gradient buffers: forward and backward in micro-batches
   * in canonical (given) order. All or nothing: an abort or failure restores the gradient as it was.
   * @param lossGradient one array per sequence, or a function that is called once for each group, in any order; what it
   *   throws, the promise rejects with
   * @returns completion log-probabilities, one array per sequence.
   */
  accumulate(
    sequences: NativeTrainSequence[],
    lossGradient: Float32Array[] | NativeGroupLoss,
    temperature: number,
    handle: NativeHandle,
  ): Promise<Float32Array[]>;
  /**
   * Takes the memory that training will take (moments, own weights, a key-value cache, one micro-batch of the
   * sequences) and gives back what is not kept. The gradient must be zero, and is afterwards.
   */
  rehearse(sequences: NativeTrainSequence[], cacheBytes: number, handle: NativeHandle): Promise<void>;
  /** Accumulated gradient of a trained parameter in Hugging Face layout; tied: sum of the head's and the input's. */
  gradient(name: string): Promise<Float32Array>;
  /** Clips, updates, zeroes the gradient. Rejects with 'TRAINING_DIVERGED' (weights untouched) if not finite. */
  step(options: NativeAdamW): Promise<{ gradNorm: number }>;
  zeroGradient(): Promise<void>;
  /** Number of steps taken (AdamW's t). */
  stepCount(): number;
  /**
   * AdamW moments as a safetensors file (`<name>.m`, `<name>.v`, Hugging Face layout; `step_count` in the metadata),
   * atomically. loadState takes the locations that the safetensors reader found, and the step count.
   */
  saveState(path: string, handle: NativeHandle): Promise<void>;
  loadState(tensors: TensorLocation[], stepCount: number, handle: NativeHandle): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Single kernels, for people who want to call or measure one. Row-major arrays in, fresh arrays out; each call packs its
 * weight anew and runs on a worker thread.
 */
export interface NativeKernels {
  /** y (rows, outputs) = x (rows, inputs) weight^T, weight (outputs, inputs). */
  linear(
    x: Float32Array,
    weight: Float32Array,
    sizes: { rows: number; inputs: number; outputs: number },
  ): Promise<Float32Array>;
  /** y (rows, columns) = weight * x / sqrt(mean(x^2) + eps). */
  rmsNorm(
    x: Float32Array,
    weight: Float32Array,
    sizes: { rows: number; columns: number; eps: number },
  ): Promise<Float32Array>;
  /** y = gate / (1 + exp(-gate)) * up, elementwise. */
  swiglu(gate: Float32Array, up: Float32Array): Promise<Float32Array>;
  /** Fused LM head: log p(target) and entropy (nats) of each row; hidden (rows, columns), weight (vocab, columns). */
  logprob(
    hidden: Float32Array,
    weight: Float32Array,
    targets: Int32Array,
    sizes: { rows: number; columns: number; vocab: number },
  ): Promise<{ logprobs: Float32Array; entropies: Float32Array }>;
}

/** Sizes of a model that kernels see, in elements. */
export type NativeGeometry = Pick<
  NativeModelConfig,
  'hiddenSize' | 'intermediateSize' | 'numHeads' | 'numKeyValueHeads' | 'headSize' | 'vocabSize'
>;

export type NativeArithmetic = 'f32' | 'bf16' | 'int8';

export interface NativePeak {
  /** Operations per second, a multiplication and its addition counted as two; f32's where there is no instruction. */
  flops: Record<NativeArithmetic, number>;
  /** Bytes per second read from memory. */
  bytes: number;
  /** Bytes per second, read and written together, copying within memory. */
  copyBytes: number;
}

export interface NativeMeasurement {
  op: string;
  /** The pass and its shape: `forward qkv T=32 K=576 N=960`. */
  name: string;
  arithmetic: NativeArithmetic;
  /** The best call. */
  seconds: number;
  /** Operations and bytes of one call, every operand counted once. */
  flops: number;
  bytes: number;
}

/** Sums over all models with timed kernels, since the process began. */
export interface NativeKernelTime {
  /** `linear forward` */
  name: string;
  calls: number;
  seconds: number;
  /** 0 where they are not counted. */
  flops: number;
  bytes: number;
}

export interface NativeBenchOptions {
  geometry: NativeGeometry;
  /** Without any, only the machine is measured. */
  ops: string[];
  /** T of the cases, 1..65536; from 128 on backward passes too. */
  rows: number[];
  /** [T, K, N] of the op `product`. */
  products: (readonly [number, number, number])[];
  /** Compute threads, 1..256. */
  threads: number;
  secondsPerCase: number;
  /** Called once, with the peaks measured first. */
  onPeak: (peak: NativePeak) => void;
  onMeasurement: (measurement: NativeMeasurement) => void;
}

export interface NativeBench {
  ops(): string[];
  /** Measures the machine, every case, and the machine again; resolves with the peaks measured last. */
  run(options: NativeBenchOptions, handle: NativeHandle): Promise<NativePeak>;
  /** Models that are made from now on time their kernels, or do not; clones are as their originals. */
  timeKernels(timed: boolean): void;
  kernelTimes(): NativeKernelTime[];
}

/** Instruction sets. A level above a base differs from it in products of low precision alone. */
export interface NativeIsa {
  /** Bases and levels compiled in and usable here, best first. */
  available: string[];
  /** The bases among them: every set of f32 kernels once. */
  bases: string[];
  /** The one in force (LSP_ISA overrides), and the base whose f32 kernels it has. */
  active: string;
  base: string;
}

export interface NativeAddon {
  Handle: new () => NativeHandle;
  Model: new (config: NativeModelConfig, options: NativeModelOptions) => NativeModel;
  Learner: new (model: NativeModel, options: NativeLearnerOptions) => NativeLearner;
  kernels: NativeKernels;
  bench: NativeBench;
  isa(): NativeIsa;
  /** Bytes of activations per token a training micro-batch holds for this geometry. */
  activationBytesPerToken(config: NativeModelConfig, gradientCheckpointing: boolean): number;
}
