/** The sizes of a model that decide how much there is to compute. */
import type { NativeGeometry, NativeModelConfig } from '../native/addon';

export type BenchGeometry = NativeGeometry & Pick<NativeModelConfig, 'numLayers'>;

/** What kernels are measured with unless a model is named: SmolLM2-135M. */
export const SMOLLM2_135M: BenchGeometry = {
  hiddenSize: 576,
  intermediateSize: 1536,
  numLayers: 30,
  numHeads: 9,
  numKeyValueHeads: 3,
  headSize: 64,
  vocabSize: 49152,
};

/** The sizes alone of a model's configuration. */
export function geometryOf(config: BenchGeometry): BenchGeometry {
  const { hiddenSize, intermediateSize, numLayers, numHeads, numKeyValueHeads, headSize, vocabSize } = config;
  return { hiddenSize, intermediateSize, numLayers, numHeads, numKeyValueHeads, headSize, vocabSize };
}
