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
  | 'qkvBias'
  | 'qkNorm'
  | 'scoreLabels'
>;

export const EMBEDDING = 'model.embed_tokens.weight';
export const FINAL_NORM = 'model.norm.weight';
export const LM_HEAD = 'lm_head.weight';
export const SCORE_HEAD = 'score.weight';

/** Parameters of one layer, without the `model.layers.N.` prefix. */
export function layerParameters(geometry: ParameterGeometry): ParameterShape[] {
  const { hiddenSize, intermediateSize, numHeads, numKeyValueHeads, headSize, qkvBias, qkNorm } = geometry;
  const queries = numHeads * headSize;
  const keys = numKeyValueHeads * headSize;
  return [
    { name: 'input_layernorm.weight', shape: [hiddenSize] },
    { name: 'self_attn.q_proj.weight', shape: [queries, hiddenSize] },
    { name: 'self_attn.k_proj.weight', shape: [keys, hiddenSize] },
    { name: 'self_attn.v_proj.weight', shape: [keys, hiddenSize] },
    ...(qkvBias
      ? [
          { name: 'self_attn.q_proj.bias', shape: [queries] },
          { name: 'self_attn.k_proj.bias', shape: [keys] },
          { name: 'self_attn.v_proj.bias', shape: [keys] },
        ]
      : []),
    ...(qkNorm
      ? [
          { name: 'self_attn.q_norm.weight', shape: [headSize] },
          { name: 'self_attn.k_norm.weight', shape: [headSize] },
        ]
      : []),
    { name: 'self_attn.o_proj.weight', shape: [hiddenSize, queries] },
    { name: 'post_attention_layernorm.weight', shape: [hiddenSize] },
    { name: 'mlp.gate_proj.weight', shape: [intermediateSize, hiddenSize] },
    { name: 'mlp.up_proj.weight', shape: [intermediateSize, hiddenSize] },
    { name: 'mlp.down_proj.weight', shape: [hiddenSize, intermediateSize] },
  ];
}

/** The head's own parameter: none when it is tied to the embedding. */
export function headParameters(geometry: ParameterGeometry): ParameterShape[] {
  const { hiddenSize, vocabSize, tiedEmbeddings, scoreLabels } = geometry;
  if (scoreLabels !== undefined) return [{ name: SCORE_HEAD, shape: [scoreLabels, hiddenSize] }];
  return tiedEmbeddings ? [] : [{ name: LM_HEAD, shape: [vocabSize, hiddenSize] }];
}

/** All parameters in the order of a forward pass. */
export function expectedParameters(geometry: ParameterGeometry): ParameterShape[] {
  const { hiddenSize, vocabSize, numLayers } = geometry;
  const parameters: ParameterShape[] = [{ name: EMBEDDING, shape: [vocabSize, hiddenSize] }];
  const layer = layerParameters(geometry);
  for (let index = 0; index < numLayers; index += 1) {
    for (const { name, shape } of layer) {
      parameters.push({ name: `model.layers.${index}.${name}`, shape: [...shape] });
    }
  }
  parameters.push({ name: FINAL_NORM, shape: [hiddenSize] }, ...headParameters(geometry));
  return parameters;
}

/** Number of trainable values; computed without listing the layers, so absurd layer counts are harmless. */
export function countParameters(geometry: ParameterGeometry): number {
  const size = (parameters: readonly ParameterShape[]) =>
    parameters.reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
  const { vocabSize, hiddenSize, numLayers } = geometry;
  const embedding = vocabSize * hiddenSize;
  return (
    embedding + size(layerParameters(geometry)) * numLayers + hiddenSize + size(headParameters(geometry))
  );
}
