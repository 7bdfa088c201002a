/** Tiny models straight on the native surface, for tests of the addon itself. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  NativeGenerateOptions,
  NativeHandle,
  NativeLearnerOptions,
  NativeModel,
  NativeSequenceRequest,
} from '../../lib/native/addon';
import { loadAddon } from '../../lib/native/load';
import { openModelSource } from '../../lib/model/formats';
import type { ModelSource } from '../../lib/model/formats';
import { writeTinyModel, type TinyModelOptions } from './tiny-model';

/** Small, but so deep and with so long a context that a whole generation takes a minute: for interrupting one. */
export const SLOW_MODEL: TinyModelOptions = { numLayers: 64, maxPositions: 65_536 };

export interface TinySource {
  source: ModelSource;
  directory: string;
  remove(): void;
}

export function tinySource(options: TinyModelOptions = {}): TinySource {
  const directory = mkdtempSync(join(tmpdir(), 'lsp-native-'));
  const source = openModelSource(writeTinyModel(directory, options));
  return { source, directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

export async function loadTiny({ source }: TinySource, threads = 1): Promise<NativeModel> {
  const addon = loadAddon();
  const model = new addon.Model(source.config, { threads });
  await model.loadTensors(source.tensors, handle());
  return model;
}

export function handle(): NativeHandle {
  return new (loadAddon().Handle)();
}

export function learnerOn(model: NativeModel, options: Partial<NativeLearnerOptions> = {}) {
  return new (loadAddon().Learner)(model, { activationBudgetBytes: 1 << 24, gradientCheckpointing: false, ...options });
}

export function sampling(options: Partial<NativeGenerateOptions> = {}): NativeGenerateOptions {
  return {
    temperature: 1,
    topK: 0,
    topP: 1,
    minNewTokens: 0,
    maxNewTokens: 24,
    seed: 7n,
    eosIds: Int32Array.of(2),
    maxBatch: 8,
    ...options,
  };
}

/** Prompts of different lengths; some share their beginning. */
export function requests(count: number): NativeSequenceRequest[] {
  return Array.from({ length: count }, (_, index) => ({
    prompt: Int32Array.from({ length: 3 + index * 5 }, (__, at) =>
      at < 3 ? 40 + at : 3 + ((index * 31 + at * 7) % 280),
    ),
    streamId: BigInt(index),
  }));
}

export function joined(prompt: Int32Array, completion: Int32Array): Int32Array {
  const tokens = new Int32Array(prompt.length + completion.length);
  tokens.set(prompt);
  tokens.set(completion, prompt.length);
  return tokens;
}

/** The bits of a float array, so that equality means equality of every bit. */
export function bits(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
}

/** The code of the error that a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'resolved',
    (error: unknown) => (error as { code?: unknown }).code,
  );
}
