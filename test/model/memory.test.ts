/** Bytes of a model as the engine stores it: rows in panels of 32. */
import { countParameters } from '../../lib/model/formats/parameters';
import {
  cacheBytesPerToken,
  cachedTokens,
  gradientBytes,
  learnerBytes,
  requireLearnerFits,
  requireWeightsFit,
  weightBytes,
} from '../../lib/model/memory';
import type { ModelConfig } from '../../lib/model/types';
import { errorOf, expectError } from '../support/errors';

function config(geometry: Partial<ModelConfig>): ModelConfig {
  const whole = {
    architecture: 'llama',
    hiddenSize: 64,
    intermediateSize: 96,
    numLayers: 2,
    numHeads: 2,
    numKeyValueHeads: 1,
    headSize: 32,
    vocabSize: 320,
    maxPositions: 128,
    rmsNormEps: 1e-5,
    ropeTheta: 1e4,
    tiedEmbeddings: true,
    bosTokenId: null,
    eosTokenIds: [],
    padTokenId: null,
    ...geometry,
  };
  return { ...whole, parameterCount: countParameters(whole) };
}

test('weights in whole panels take what their values take', () => {
  for (const tiedEmbeddings of [true, false]) {
    const even = config({ tiedEmbeddings });
    expect(weightBytes(even)).toBe(4 * even.parameterCount);
  }
});

test('the rows of a matrix are padded, its columns and vectors are not', () => {
  const vocabulary = weightBytes(config({ vocabSize: 321 })) - weightBytes(config({ vocabSize: 320 }));
  expect(vocabulary).toBe(4 * 32 * 64);
  // gate and up get one more panel of 64 columns each, down one more column of 64 rows; in each of two layers.
  const forward = weightBytes(config({ intermediateSize: 97 })) - weightBytes(config({}));
  expect(forward).toBe(4 * 2 * (2 * 32 * 64 + 64));
});

test('a learner takes a gradient and two moments, and a tied embedding has two gradients', () => {
  const [tied, untied] = [config({}), config({ tiedEmbeddings: false })];
  expect(gradientBytes(tied)).toBe(gradientBytes(untied));
  expect(learnerBytes(untied)).toBe(3 * weightBytes(untied));
  expect(learnerBytes(tied)).toBe(3 * weightBytes(tied) + 4 * 320 * 64);
});

test('the cache holds keys as they are and values padded to 32, in blocks of 32 tokens', () => {
  expect(cacheBytesPerToken(config({ headSize: 32 }))).toBe(2 * 4 * (32 + 32));
  expect(cacheBytesPerToken(config({ headSize: 32 }), 'int8')).toBe(2 * 2 * (32 + 32));
  expect(cacheBytesPerToken(config({ headSize: 2, numKeyValueHeads: 2 }))).toBe(2 * 2 * 4 * (2 + 32));
  expect([0, 1, 32, 33].map(cachedTokens)).toEqual([0, 32, 32, 64]);
});

test('what does not fit is refused, and counted as it is stored', () => {
  // One row in each of two matrices of half a million columns: 32 times as large as its parameter count.
  const narrow = config({ hiddenSize: 2 ** 19, intermediateSize: 1, numHeads: 1, headSize: 2, vocabSize: 1 });
  const available = 8 * narrow.parameterCount;
  expectError(
    errorOf(() => requireWeightsFit({ config: narrow, tensors: [] }, 'f32', available)),
    'OUT_OF_MEMORY',
    /parameters in f32/,
  );
  requireWeightsFit({ config: narrow, tensors: [] }, 'f32', weightBytes(narrow));
  expect(errorOf(() => requireLearnerFits(narrow, { availableBytes: learnerBytes(narrow) - 1 })).code).toBe(
    'OUT_OF_MEMORY',
  );
  requireLearnerFits(narrow, { availableBytes: learnerBytes(narrow) });
});
