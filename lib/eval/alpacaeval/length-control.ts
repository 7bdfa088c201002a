/**
 * The length-controlled win rate (Dubois et al. 2024, arXiv 2404.04475): what the win rate would be if the candidate's
 * answers were as long as the baseline's.
 *
 * A logistic regression explains the preference for the candidate in item i:
 *
 *   p_i = σ(θ + φ · tanh(Δ_i / s) + ψ · d_i)
 *
 * with θ for the model, Δ_i = candidate's length − baseline's (characters), s the standard deviation of Δ, and d_i how
 * hard the instruction is (only if difficulties are given). The win rate is the mean of σ(θ + ψ · d_i): Δ is set to 0.
 * Labels are preferences in [0, 1]. The fit maximizes Σ log-likelihood − ‖w‖² / (2C), C = 100, by Newton's method.
 *
 * What differs from the published number is in docs/judges.md.
 */

/** What the regression sees of an item. */
export interface LengthControlSample {
  /** In [0, 1], 1 for the candidate. */
  preference: number;
  lengthCandidate: number;
  lengthBaseline: number;
  difficulty?: number;
}

export interface LengthControlFit {
  /** θ: the candidate against the baseline. */
  model: number;
  /** φ: what length is worth; 0 where lengths do not differ. */
  length: number;
  /** ψ; 0 where not all samples have a difficulty. */
  difficulty: number;
  /** In [0, 1]. */
  winRate: number;
}

/** Inverse strength of the penalty: the default of the published code where it does not choose one itself. */
const C = 100;

const MAX_ITERATIONS = 100;

/**
 * A step that is to lower the loss by less is the last one: there Newton's method doubles the right digits with each
 * step, and the next one would be rounding.
 */
const LAST_DECREASE = 1e-9;

/** Null without samples. */
export function fitLengthControl(samples: readonly LengthControlSample[]): LengthControlFit | null {
  if (samples.length === 0) return null;
  const data = designOf(samples);
  const [model = 0, length = 0, difficulty = 0] = fitLogistic(data);
  let sum = 0;
  for (let i = 0; i < samples.length; i += 1) {
    const hard = data.width === 3 ? data.rows[i * 3 + 2]! : 0;
    sum += 1 / (1 + Math.exp(-(model + difficulty * hard)));
  }
  return { model, length, difficulty, winRate: sum / samples.length };
}

interface Design {
  /** [sample][feature]: 1, tanh(Δ/s), and the difficulty if all samples have one. */
  rows: Float64Array;
  labels: Float64Array;
  /** Number of features. */
  width: 2 | 3;
}

function designOf(samples: readonly LengthControlSample[]): Design {
  const count = samples.length;
  const width = samples.every(({ difficulty }) => difficulty !== undefined) ? 3 : 2;
  const rows = new Float64Array(count * width);
  const labels = new Float64Array(count);
  const deltas = new Float64Array(count);
  samples.forEach(({ lengthCandidate, lengthBaseline }, i) => (deltas[i] = lengthCandidate - lengthBaseline));
  const scale = standardDeviation(deltas);
  samples.forEach(({ preference, difficulty }, i) => {
    labels[i] = preference;
    rows[i * width] = 1;
    rows[i * width + 1] = scale > 0 ? Math.tanh(deltas[i]! / scale) : 0;
    if (width === 3) rows[i * width + 2] = difficulty!;
  });
  return { rows, labels, width };
}

/** With n − 1 in the denominator; 0 for a single value. */
function standardDeviation(values: Float64Array): number {
  if (values.length < 2) return 0;
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}

/** Minimizes the loss of `lossAt`, which is strictly convex: there is one minimum. */
function fitLogistic(data: Design): number[] {
  let weights = new Array<number>(data.width).fill(0);
  let at = lossAt(data, weights);
  for (let iteration = 0; iteration < MAX_ITERATIONS; iteration += 1) {
    const step = solvePositiveDefinite(at.hessian, at.gradient);
    const decrease = step.reduce((sum, s, k) => sum + s * at.gradient[k]!, 0) / 2;
    if (decrease < LAST_DECREASE) return weights.map((w, k) => w - step[k]!);
    // Far from the minimum a whole step can overshoot: halve it until the loss falls.
    let next = at;
    let share = 2;
    let moved = weights;
    do {
      share /= 2;
      moved = weights.map((w, k) => w - share * step[k]!);
      next = lossAt(data, moved);
    } while (!(next.loss <= at.loss) && share > Number.EPSILON);
    [weights, at] = [moved, next];
  }
  return weights;
}

interface LossAt {
  loss: number;
  gradient: number[];
  /** Row-major; the lower triangle. */
  hessian: Float64Array;
}

/**
 * Σ_i [log(1 + e^z_i) − y_i z_i] + ‖w‖² / (2C) with z = Xw; its gradient Xᵀ(p − y) + w/C, and its second derivatives
 * Xᵀ diag(p(1 − p)) X + I/C.
 */
function lossAt({ rows, labels, width }: Design, weights: readonly number[]): LossAt {
  let loss = 0;
  const gradient = weights.map((w) => w / C);
  const hessian = new Float64Array(width * width);
  for (let k = 0; k < width; k += 1) {
    loss += weights[k]! ** 2 / (2 * C);
    hessian[k * width + k] = 1 / C;
  }
  for (let i = 0, row = 0; i < labels.length; i += 1, row += width) {
    let z = 0;
    for (let k = 0; k < width; k += 1) z += rows[row + k]! * weights[k]!;
    const small = Math.exp(-Math.abs(z));
    const p = (z > 0 ? 1 : small) / (1 + small);
    const label = labels[i]!;
    loss += Math.max(z, 0) + Math.log1p(small) - label * z;
    const spread = p * (1 - p);
    for (let k = 0; k < width; k += 1) {
      const x = rows[row + k]!;
      gradient[k]! += x * (p - label);
      for (let l = 0; l <= k; l += 1) hessian[k * width + l]! += spread * x * rows[row + l]!;
    }
  }
  return { loss, gradient, hessian };
}

/** Solves Ax = b by Cholesky's decomposition, A = LLᵀ; only the lower triangle of A is read. */
function solvePositiveDefinite(a: Float64Array, b: readonly number[]): number[] {
  const size = b.length;
  const lower = a.slice();
  for (let k = 0; k < size; k += 1) {
    for (let l = 0; l <= k; l += 1) {
      let sum = a[k * size + l]!;
      for (let m = 0; m < l; m += 1) sum -= lower[k * size + m]! * lower[l * size + m]!;
      lower[k * size + l] = k === l ? Math.sqrt(sum) : sum / lower[l * size + l]!;
    }
  }
  const x = b.slice();
  for (let k = 0; k < size; k += 1) {
    for (let l = 0; l < k; l += 1) x[k]! -= lower[k * size + l]! * x[l]!;
    x[k]! /= lower[k * size + k]!;
  }
  for (let k = size - 1; k >= 0; k -= 1) {
    for (let l = k + 1; l < size; l += 1) x[k]! -= lower[l * size + k]! * x[l]!;
    x[k]! /= lower[k * size + k]!;
  }
  return x;
}
