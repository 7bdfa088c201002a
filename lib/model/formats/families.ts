/**
 * The families of models that this version runs, as data: what each does that Llama does not, and what it assumes
 * where a configuration is silent. Formats, engine and memory estimates read this table or what it puts into a
 * `ModelConfig`; none of them knows a family by name.
 *
 * Sources: the configuration and model classes of transformers, and what llama.cpp's converter makes of them.
 */
import type { ModelConfig } from '../types';

export interface ModelFamily {
  /** Which it is: `model_type` in config.json, `general.architecture` in a GGUF. */
  readonly architecture: string;
  /** Its classes in transformers start so: `Qwen2` of `Qwen2ForCausalLM`. */
  readonly className: string;
  /** What is computed differently; goes into the `ModelConfig` as it is. */
  readonly traits: Pick<ModelConfig, 'qkvBias' | 'qkNorm'>;
  /** Every n-th layer is without RoPE where the configuration does not name them; 0 for none. */
  readonly noRopeInterval: number;
  /** A GGUF holds the rows of q and k interleaved, for a RoPE that turns neighbours. */
  readonly ggufInterleaved: boolean;
  /** What transformers assumes for keys that are missing in config.json. */
  readonly defaults: {
    readonly maxPositions: number;
    readonly ropeTheta: number;
    readonly tiedEmbeddings: boolean;
    /** Default: hidden size / heads. */
    readonly headSize?: number;
    /** Default: as many as heads. */
    readonly numKeyValueHeads?: number;
    /** Default: none. */
    readonly padTokenId?: number;
  };
}

export const FAMILIES: readonly ModelFamily[] = [
  {
    architecture: 'llama',
    className: 'Llama',
    traits: {},
    noRopeInterval: 0,
    ggufInterleaved: true,
    defaults: { maxPositions: 2048, ropeTheta: 10_000, tiedEmbeddings: false },
  },
  {
    architecture: 'qwen2', // Qwen2 and Qwen2.5
    className: 'Qwen2',
    traits: { qkvBias: true },
    noRopeInterval: 0,
    ggufInterleaved: false,
    defaults: { maxPositions: 32_768, ropeTheta: 10_000, tiedEmbeddings: false, numKeyValueHeads: 32 },
  },
  {
    architecture: 'qwen3',
    className: 'Qwen3',
    traits: { qkNorm: true },
    noRopeInterval: 0,
    ggufInterleaved: false,
    defaults: {
      maxPositions: 32_768,
      ropeTheta: 10_000,
      tiedEmbeddings: false,
      headSize: 128,
      numKeyValueHeads: 32,
    },
  },
  {
    architecture: 'smollm3',
    className: 'SmolLM3',
    traits: {},
    noRopeInterval: 4,
    ggufInterleaved: true,
    defaults: {
      maxPositions: 32_768,
      ropeTheta: 2_000_000,
      tiedEmbeddings: true,
      numKeyValueHeads: 4,
      padTokenId: 128_004,
    },
  },
];

export function familyOf(architecture: unknown): ModelFamily | undefined {
  return FAMILIES.find((family) => family.architecture === architecture);
}

/** For messages: what this version runs. */
export const KNOWN_FAMILIES = `This version runs Llama and its relatives of the types ${FAMILIES.map(({ architecture }) => architecture).join(', ')}.`;

/** Indices of the layers without RoPE: every n-th one; 0 for none. */
export function everyNthWithoutRope(interval: number, numLayers: number): number[] {
  if (interval === 0) return [];
  return Array.from({ length: numLayers }, (_, layer) => layer).filter(
    (layer) => (layer + 1) % interval === 0,
  );
}
