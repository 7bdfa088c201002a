/** Writes small GGUF files, sound ones and (through the same functions) unsound ones. */
import { byteAlphabet, seededUniform, TINY_CHAT_TEMPLATE, TINY_SPECIAL_TOKENS } from './tiny-model';

export const GGUF = {
  U8: 0,
  I8: 1,
  U16: 2,
  I16: 3,
  U32: 4,
  I32: 5,
  F32: 6,
  BOOL: 7,
  STRING: 8,
  ARRAY: 9,
  U64: 10,
};

export type GgufField = { key: string; type: number; value: unknown; elementType?: number };

export interface GgufTensorInput {
  name: string;
  /** GGUF order: the row length first. */
  dimensions: (number | bigint)[];
  type: number;
  data: Buffer;
  /** Overrides the offset that packing gives. */
  offset?: number | bigint;
}

export interface GgufInput {
  magic?: string;
  version?: number;
  tensorCount?: bigint;
  fieldCount?: bigint;
  alignment?: number;
  fields: GgufField[];
  tensors: GgufTensorInput[];
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

export const u64 = (value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

export const ggufString = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([u64(bytes.length), bytes]);
};

function encodeValue(type: number, value: unknown): Buffer {
  switch (type) {
    case GGUF.STRING:
      return ggufString(value as string);
    case GGUF.BOOL:
    case GGUF.U8:
      return Buffer.from([Number(value)]);
    case GGUF.F32: {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(value as number);
      return bytes;
    }
    case GGUF.I32: {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(value as number);
      return bytes;
    }
    case GGUF.U64:
      return u64(value as bigint);
    default:
      return u32(value as number);
  }
}

function encodeField({ key, type, value, elementType }: GgufField): Buffer {
  const head = Buffer.concat([ggufString(key), u32(type)]);
  if (type !== GGUF.ARRAY) return Buffer.concat([head, encodeValue(type, value)]);
  const items = (value as unknown[]).map((item) => encodeValue(elementType!, item));
  return Buffer.concat([head, u32(elementType!), u64(items.length), ...items]);
}

export function encodeGguf(input: GgufInput): Buffer {
  const alignment = input.alignment ?? 32;
  const padded = (bytes: Buffer) =>
    Buffer.concat([bytes, Buffer.alloc((alignment - (bytes.length % alignment)) % alignment)]);
  let offset = 0;
  const infos = input.tensors.map((tensor) => {
    const info = Buffer.concat([
      ggufString(tensor.name),
      u32(tensor.dimensions.length),
      ...tensor.dimensions.map(u64),
      u32(tensor.type),
      u64(tensor.offset ?? offset),
    ]);
    offset += padded(tensor.data).length;
    return info;
  });
  const header = Buffer.concat([
    Buffer.from(input.magic ?? 'GGUF', 'latin1'),
    u32(input.version ?? 3),
    u64(input.tensorCount ?? input.tensors.length),
    u64(input.fieldCount ?? input.fields.length),
    ...input.fields.map(encodeField),
    ...infos,
  ]);
  return Buffer.concat([padded(header), ...input.tensors.map(({ data }) => padded(data))]);
}

export const field = (key: string, type: number, value: unknown, elementType?: number): GgufField => ({
  key,
  type,
  value,
  ...(elementType !== undefined && { elementType }),
});

/** A tokenizer of bytes and two merges, or of more tokens that are never made. */
export function ggufTokenizerFields(tokens: readonly string[]): GgufField[] {
  return [
    field('tokenizer.ggml.model', GGUF.STRING, 'gpt2'),
    field('tokenizer.ggml.pre', GGUF.STRING, 'smollm'),
    field('tokenizer.ggml.tokens', GGUF.ARRAY, tokens, GGUF.STRING),
    field(
      'tokenizer.ggml.token_type',
      GGUF.ARRAY,
      tokens.map((_, id) => (id < 3 ? 3 : 1)),
      GGUF.I32,
    ),
    field('tokenizer.ggml.merges', GGUF.ARRAY, ['Ġ t', 'h e'], GGUF.STRING),
    field('tokenizer.ggml.bos_token_id', GGUF.U32, 1),
    field('tokenizer.ggml.eos_token_id', GGUF.U32, 2),
    field('tokenizer.chat_template', GGUF.STRING, TINY_CHAT_TEMPLATE),
  ];
}

export const TINY_GGUF_TOKENS: readonly string[] = [...TINY_SPECIAL_TOKENS, ...byteAlphabet(), 'Ġt', 'he'];

/** One layer, 2 heads, 1 key-value head; hidden 8 and ffn 16, or other sizes. */
export function tinyGguf({ hidden = 8, ffn = 16 } = {}): GgufInput {
  const tokens = [...TINY_GGUF_TOKENS];
  const random = seededUniform(7);
  const tensor = (name: string, ...dimensions: number[]): GgufTensorInput => {
    const count = dimensions.reduce((product, length) => product * length, 1);
    const values = Float32Array.from({ length: count }, () => random() - 0.5);
    return { name, dimensions, type: 0, data: Buffer.from(values.buffer) };
  };
  return {
    fields: [
      field('general.architecture', GGUF.STRING, 'llama'),
      field('llama.block_count', GGUF.U32, 1),
      field('llama.embedding_length', GGUF.U32, hidden),
      field('llama.feed_forward_length', GGUF.U32, ffn),
      field('llama.attention.head_count', GGUF.U32, 2),
      field('llama.attention.head_count_kv', GGUF.U32, 1),
      field('llama.attention.layer_norm_rms_epsilon', GGUF.F32, 1e-5),
      field('llama.context_length', GGUF.U32, 128),
      field('llama.rope.freq_base', GGUF.F32, 10000),
      ...ggufTokenizerFields(tokens),
    ],
    tensors: [
      tensor('token_embd.weight', hidden, tokens.length),
      tensor('blk.0.attn_norm.weight', hidden),
      tensor('blk.0.attn_q.weight', hidden, hidden),
      tensor('blk.0.attn_k.weight', hidden, hidden / 2),
      tensor('blk.0.attn_v.weight', hidden, hidden / 2),
      tensor('blk.0.attn_output.weight', hidden, hidden),
      tensor('blk.0.ffn_norm.weight', hidden),
      tensor('blk.0.ffn_gate.weight', hidden, ffn),
      tensor('blk.0.ffn_up.weight', hidden, ffn),
      tensor('blk.0.ffn_down.weight', ffn, hidden),
      tensor('output_norm.weight', hidden),
    ],
  };
}
