/**
 * The parameters a Llama-family model of a given geometry must have, in Hugging Face's names and row-major
 * shapes ([out features, in features] for matrices). Model files are checked against this list before anything
 * is loaded, and `lsp info` counts parameters with it.
 */
import type { NativeModelConfig } from '../../native/addon';

export interface ParameterShape {
  name: string;
  shape: number[];
}

/** What decides the parameter list: the geometry without positions and constants. */
export type ParameterGeometry = Pick<
  NativeModelConfig,
  | 'hiddenSize'
  | 'intermediateSize'
  | 'numLayers'
  | 'numHeads'
  | 'numKeyValueHeads'
  | 'headSize'
  | 'vocabSize'
  | 'tiedEmbeddings'
>;

export const EMBEDDING = 'model.embed_tokens.weight';
export const FINAL_NORM = 'model.norm.weight';
export const LM_HEAD = 'lm_head.weight';

/** Parameters of one layer, without the `model.layers.N.` prefix. */
export function layerParameters(geometry: ParameterGeometry): ParameterShape[] {
  const { hiddenSize, intermediateSize, numHeads, numKeyValueHeads, headSize } = geometry;
  const queries = numHeads * headSize;
  const keys = numKeyValueHeads * headSize;
  return [
    { name: 'input_layernorm.weight', shape: [hiddenSize] },
    { name: 'self_attn.q_proj.weight', shape: [queries, hiddenSize] },
    { name: 'self_attn.k_proj.weight', shape: [keys, hiddenSize] },
    { name: 'self_attn.v_proj.weight', shape: [keys, hiddenSize] },
    { name: 'self_attn.o_proj.weight', shape: [hiddenSize, queries] },
    { name: 'post_attention_layernorm.weight', shape: [hiddenSize] },
    { name: 'mlp.gate_proj.weight', shape: [intermediateSize, hiddenSize] },
    { name: 'mlp.up_proj.weight', shape: [intermediateSize, hiddenSize] },
    { name: 'mlp.down_proj.weight', shape: [hiddenSize, intermediateSize] },
  ];
}

/** All parameters in the order of a forward pass. The head is listed only when it is not tied. */
export function expectedParameters(geometry: ParameterGeometry): ParameterShape[] {
  const { hiddenSize, vocabSize, numLayers, tiedEmbeddings } = geometry;
  const parameters: ParameterShape[] = [{ name: EMBEDDING, shape: [vocabSize, hiddenSize] }];
  const layer = layerParameters(geometry);
  for (let index = 0; index < numLayers; index += 1) {
    for (const { name, shape } of layer) {
      parameters.push({ name: `model.layers.${index}.${name}`, shape: [...shape] });
    }
  }
  parameters.push({ name: FINAL_NORM, shape: [hiddenSize] });
  if (!tiedEmbeddings) parameters.push({ name: LM_HEAD, shape: [vocabSize, hiddenSize] });
  return parameters;
}

/** Number of trainable values; computed without listing the layers, so absurd layer counts are harmless. */
export function countParameters(geometry: ParameterGeometry): number {
  const size = ({ shape }: ParameterShape) => shape.reduce((product, length) => product * length, 1);
  const perLayer = layerParameters(geometry).reduce((sum, parameter) => sum + size(parameter), 0);
  const embedding = geometry.vocabSize * geometry.hiddenSize;
  const heads = geometry.tiedEmbeddings ? 1 : 2;
  return embedding * heads + perLayer * geometry.numLayers + geometry.hiddenSize;
}
