/** The operation counts, against numbers worked out by hand and against counting one product after the other. */
import {
  causalPairs,
  decodeOperations,
  forwardOperations,
  SMOLLM2_135M,
  W1,
  workloadOperations,
  type BenchGeometry,
} from '../../lib/bench';
import { bodyWeights, workloadWork } from '../../lib/bench/operations';

const SMALL: BenchGeometry = {
  hiddenSize: 4,
  intermediateSize: 6,
  numLayers: 2,
  numHeads: 4,
  numKeyValueHeads: 2,
  headSize: 3,
  vocabSize: 10,
};

/** Operations of one product of (rows, inner) by (inner, columns). */
const product = (rows: number, inner: number, columns: number) => 2 * rows * inner * columns;

/** Tokens at positions from..to-1 of one sequence through all layers, product by product. */
function countedBody(g: BenchGeometry, from: number, to: number): number {
  const [queries, keys] = [g.numHeads * g.headSize, g.numKeyValueHeads * g.headSize];
  let sum = 0;
  for (let layer = 0; layer < g.numLayers; layer++) {
    for (let position = from; position < to; position++) {
      for (const [inner, columns] of [
        [g.hiddenSize, queries],
        [g.hiddenSize, keys],
        [g.hiddenSize, keys],
        [queries, g.hiddenSize],
        [g.hiddenSize, g.intermediateSize],
        [g.hiddenSize, g.intermediateSize],
        [g.intermediateSize, g.hiddenSize],
      ] as const) {
        sum += product(1, inner, columns);
      }
      for (let head = 0; head < g.numHeads; head++) {
        sum += product(1, g.headSize, position + 1) + product(1, position + 1, g.headSize);
      }
    }
  }
  return sum;
}

describe('operations', () => {
  test('of a forward pass are those of its products', () => {
    const head = product(1, SMALL.hiddenSize, SMALL.vocabSize);
    expect(forwardOperations(SMALL, { tokens: 5, pairs: causalPairs(0, 5), headRows: 2 })).toBe(
      countedBody(SMALL, 0, 5) + 2 * head,
    );
    // A prompt of 3 and two answers of 4: the last token of an answer is sampled, not computed.
    const work = workloadWork({ queries: 1, answers: 2, promptTokens: 3, newTokens: 4 });
    expect(work).toEqual({ tokens: 9, pairs: 6 + 2 * (4 + 5 + 6), headRows: 7 });
    expect(forwardOperations(SMALL, work)).toBe(
      countedBody(SMALL, 0, 3) + 2 * countedBody(SMALL, 3, 6) + 7 * head,
    );
  });

  test('of SmolLM2-135M and W1, by hand', () => {
    // 30 layers × 576 × (2 · 576 + 2 · 192 + 3 · 1536)
    expect(bodyWeights(SMOLLM2_135M)).toBe(106_168_320);
    // 8 · 64 + 32 · 127 tokens; 8 · 2080 + 32 · (191 · 192 − 64 · 65) / 2 pairs; 8 + 32 · 127 rows of the head
    expect(workloadWork(W1)).toEqual({ tokens: 4576, pairs: 536_832, headRows: 4072 });
    const forward = 971_652_464_640 + 37_105_827_840 + 230_569_279_488;
    expect(workloadOperations(SMOLLM2_135M, W1)).toEqual({
      rollout: forward,
      reference: forward,
      update: 3 * forward,
      step: 5 * forward,
    });
    // An adapter: no gradients of weights, but both operands of attention have them.
    expect(workloadOperations(SMOLLM2_135M, W1, 'adapter').update).toBe(2 * forward + 37_105_827_840);
  });

  test('of decoding: all weights once, keys and values of every sequence', () => {
    const { operations, bytes } = decodeOperations(SMALL, { batch: 3, keys: 7 });
    expect(operations).toBe(3 * (countedBody(SMALL, 6, 7) + product(1, SMALL.hiddenSize, SMALL.vocabSize)));
    expect(bytes).toBe(4 * (bodyWeights(SMALL) + 40) + 4 * (3 * 7 * 2 * 2 * 2 * 3));
    expect(decodeOperations(SMALL, { batch: 1, keys: 1, weightBytes: 1 }).bytes).toBe(
      bodyWeights(SMALL) + 40 + 4 * (2 * 2 * 2 * 3),
    );
  });
});
