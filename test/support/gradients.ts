/** Gradients beside those of a reference: of each parameter its norm and some entries. */
import type { Learner } from '../../lib';

export interface GradientSample {
  norm: number;
  /** Indices of `values` in the gradient. */
  at: number[];
  values: number[];
}

/** @param tolerance of an entry, as a share of the parameter's norm */
export async function expectGradients(
  learner: Learner,
  gradients: Readonly<Record<string, GradientSample>>,
  tolerance: number,
): Promise<void> {
  for (const [parameter, { norm, at, values }] of Object.entries(gradients)) {
    const gradient = await learner.gradient(parameter);
    const ours = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0));
    expect({ parameter, error: Math.abs(ours - norm) / norm }).toEqual({
      parameter,
      error: expect.closeTo(0, 4) as number,
    });
    expectClose(
      at.map((index) => gradient[index]!),
      values,
      tolerance * norm,
    );
  }
}

/** As many numbers, none further off than the tolerance. */
export function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(actual[i]! - value)), 0);
  expect(worst).toBeLessThan(tolerance);
}
