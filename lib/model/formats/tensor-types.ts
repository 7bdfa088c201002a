/** Stored tensor types: bytes per block, elements per block, and their names in GGUF and safetensors. */
import type { StoredType } from '../../native/addon';

export interface BlockLayout {
  elements: number;
  bytes: number;
}

/** What is in a block: native/kernels/quantize/quantize.h, whose table of formats this one repeats. */
export const BLOCKS: Readonly<Record<StoredType, BlockLayout>> = {
  f32: { elements: 1, bytes: 4 },
  f16: { elements: 1, bytes: 2 },
  bf16: { elements: 1, bytes: 2 },
  q8_0: { elements: 32, bytes: 34 },
  q4_0: { elements: 32, bytes: 18 },
  q4_1: { elements: 32, bytes: 20 },
  q5_0: { elements: 32, bytes: 22 },
  q5_1: { elements: 32, bytes: 24 },
  q2_k: { elements: 256, bytes: 84 },
  q3_k: { elements: 256, bytes: 110 },
  q4_k: { elements: 256, bytes: 144 },
  q5_k: { elements: 256, bytes: 176 },
  q6_k: { elements: 256, bytes: 210 },
  iq4_nl: { elements: 32, bytes: 18 },
  iq4_xs: { elements: 256, bytes: 136 },
};

/** GGUF's numbers of the types this version reads. */
export const GGUF_TYPES: ReadonlyMap<number, StoredType> = new Map([
  [0, 'f32'],
  [1, 'f16'],
  [2, 'q4_0'],
  [3, 'q4_1'],
  [6, 'q5_0'],
  [7, 'q5_1'],
  [8, 'q8_0'],
  [10, 'q2_k'],
  [11, 'q3_k'],
  [12, 'q4_k'],
  [13, 'q5_k'],
  [14, 'q6_k'],
  [20, 'iq4_nl'],
  [23, 'iq4_xs'],
  [30, 'bf16'],
]);

/** GGUF's other types, for an error that names what the file holds. */
export const GGUF_OTHER_TYPES: ReadonlyMap<number, string> = new Map([
  [9, 'Q8_1'],
  [15, 'Q8_K'],
  [16, 'IQ2_XXS'],
  [17, 'IQ2_XS'],
  [18, 'IQ3_XXS'],
  [19, 'IQ1_S'],
  [21, 'IQ3_S'],
  [22, 'IQ2_S'],
  [24, 'I8'],
  [25, 'I16'],
  [26, 'I32'],
  [27, 'I64'],
  [28, 'F64'],
  [29, 'IQ1_M'],
  [34, 'TQ1_0'],
  [35, 'TQ2_0'],
  [39, 'MXFP4'],
]);

/** Bits per element of every safetensors type. */
export const SAFETENSORS_BITS: ReadonlyMap<string, number> = new Map([
  ['BOOL', 8],
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['F64', 64],
  ['I64', 64],
  ['U64', 64],
  ['C64', 64],
]);

/** The safetensors types this version reads. */
export const SAFETENSORS_TYPES: ReadonlyMap<string, StoredType> = new Map([
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
]);

/** Number of elements, or undefined if a length is not a positive integer or the product is beyond 2^53. */
export function elementCount(shape: readonly number[], { allowZero = false } = {}): number | undefined {
  let product = 1;
  for (const length of shape) {
    if (!Number.isSafeInteger(length) || length < (allowZero ? 0 : 1)) return undefined;
    product *= length;
    if (product > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return product;
}
