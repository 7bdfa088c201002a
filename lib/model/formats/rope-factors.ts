/**
 * Llama 3 RoPE scaling from a GGUF's `rope_freqs.weight`. The file holds only the quotient
 * (plain frequency / scaled frequency) of each pair of dimensions; the parameters behind it are found by trying
 * the original contexts that models use, and accepted only if they give back every factor.
 */
import type { NativeModelConfig } from '../../native/addon';
import { corrupt, unsupported } from './model-file';

type RopeScaling = NonNullable<NativeModelConfig['ropeScaling']>;

/** All Llama 3.1, 3.2 and 3.3 models were stretched from this context with these two boundaries. */
const LLAMA3_CONTEXT = 8192;
const LOW_FREQUENCY_FACTOR = 1;
const HIGH_FREQUENCY_FACTOR = 4;

/** Relative; the factors are stored in f32 and were computed in f32 by converters. */
const TOLERANCE = 1e-4;

/**
 * Quotients plain / scaled for each pair of dimensions: 1 where the wavelength is short, `factor` where it is long,
 * and between the two boundaries an interpolation of the frequencies.
 */
export function ropeFactors(headSize: number, ropeTheta: number, scaling: RopeScaling): Float64Array {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  return Float64Array.from({ length: headSize / 2 }, (_, pair) => {
    const frequency = ropeTheta ** ((-2 * pair) / headSize);
    const turns = (originalMaxPositions * frequency) / (2 * Math.PI);
    if (turns > highFreqFactor) return 1;
    if (turns < lowFreqFactor) return factor;
    const share = (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return 1 / ((1 - share) / factor + share);
  });
}

/**
 * The scaling behind the factors, or undefined when all are 1 (no scaling).
 * @param namedContext the original context, if the file names it
 */
export function recoverRopeScaling(
  path: string,
  factors: Float32Array,
  ropeTheta: number,
  namedContext: number | undefined,
): RopeScaling | undefined {
  if (!factors.every((factor) => Number.isFinite(factor) && factor > 0)) {
    throw corrupt(path, 'tensor `rope_freqs.weight` holds values that are not positive numbers.');
  }
  if (factors.every((factor) => factor === 1)) return undefined;
  const contexts = namedContext === undefined ? [LLAMA3_CONTEXT] : [namedContext, LLAMA3_CONTEXT];
  for (const originalMaxPositions of contexts) {
    const scaling: RopeScaling = {
      factor: roundedFactor(factors[factors.length - 1]!),
      lowFreqFactor: LOW_FREQUENCY_FACTOR,
      highFreqFactor: HIGH_FREQUENCY_FACTOR,
      originalMaxPositions,
    };
    const expected = ropeFactors(2 * factors.length, ropeTheta, scaling);
    if (expected.every((value, pair) => Math.abs(value - factors[pair]!) <= TOLERANCE * value))
      return scaling;
  }
  throw unsupported(
    path,
    'tensor `rope_freqs.weight` holds RoPE factors that are not those of Llama 3 scaling.',
    'Use the Hugging Face directory of this model: its config.json names the scaling.',
  );
}

/** Factors are small whole numbers (8, 32); rounding away f32 noise gives the bits of the original formula. */
function roundedFactor(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(rounded - value) <= TOLERANCE * value ? rounded : value;
}
