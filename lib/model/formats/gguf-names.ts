/** Names of tensors in GGUF files → Hugging Face's: those of Llama, and of its relatives' biases and head norms. */

const LAYER_NAMES: ReadonlyMap<string, string> = new Map([
  ['attn_norm.weight', 'input_layernorm.weight'],
  ['attn_q.weight', 'self_attn.q_proj.weight'],
  ['attn_k.weight', 'self_attn.k_proj.weight'],
  ['attn_v.weight', 'self_attn.v_proj.weight'],
  ['attn_q.bias', 'self_attn.q_proj.bias'],
  ['attn_k.bias', 'self_attn.k_proj.bias'],
  ['attn_v.bias', 'self_attn.v_proj.bias'],
  ['attn_q_norm.weight', 'self_attn.q_norm.weight'],
  ['attn_k_norm.weight', 'self_attn.k_norm.weight'],
  ['attn_output.weight', 'self_attn.o_proj.weight'],
  ['ffn_norm.weight', 'post_attention_layernorm.weight'],
  ['ffn_gate.weight', 'mlp.gate_proj.weight'],
  ['ffn_up.weight', 'mlp.up_proj.weight'],
  ['ffn_down.weight', 'mlp.down_proj.weight'],
]);

const TOP_NAMES: ReadonlyMap<string, string> = new Map([
  ['token_embd.weight', 'model.embed_tokens.weight'],
  ['output_norm.weight', 'model.norm.weight'],
  ['output.weight', 'lm_head.weight'],
]);

/** The Hugging Face name, or undefined for a tensor that no model of a known family has. */
export function huggingFaceName(ggufName: string): string | undefined {
  const layer = /^blk\.(0|[1-9][0-9]{0,5})\.(.+)$/.exec(ggufName);
  if (!layer) return TOP_NAMES.get(ggufName);
  const name = LAYER_NAMES.get(layer[2]!);
  return name && `model.layers.${layer[1]}.${name}`;
}

/** The name in a GGUF of a Hugging Face parameter, for messages about the file. */
export function ggufName(huggingFace: string): string {
  const layer = /^model\.layers\.([0-9]+)\.(.+)$/.exec(huggingFace);
  const [names, name] = layer ? [LAYER_NAMES, layer[2]] : [TOP_NAMES, huggingFace];
  const original = [...names].find(([, other]) => other === name)?.[0] ?? huggingFace;
  return layer ? `blk.${layer[1]}.${original}` : original;
}

/**
 * Some architectures of GGUF interleave the two halves of each head's q and k rows, so that their RoPE can rotate
 * neighbours; Hugging Face rotates halves. True for the tensors whose rows must then be put back in order.
 */
export function isRopePermuted(huggingFace: string): boolean {
  return huggingFace.endsWith('.q_proj.weight') || huggingFace.endsWith('.k_proj.weight');
}
