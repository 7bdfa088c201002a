/** Quantiles for 95 % intervals. */

/** 0.975 quantile of the standard normal distribution. */
export const Z = 1.959963984540054;

/** 0.975 quantile of Student's t: the expansion of Abramowitz & Stegun 26.7.5, and its first values, where it is poor. */
export function quantileT(degrees: number): number {
  const first = [12.706205, 4.302653, 3.182446, 2.776445, 2.570582][degrees - 1];
  if (first !== undefined) return first;
  return (
    Z +
    (Z ** 3 + Z) / (4 * degrees) +
    (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / (96 * degrees ** 2) +
    (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / (384 * degrees ** 3)
  );
}
