/**
 * pass@k: the chance that at least one of k answers drawn from n is right, c of the n being so; without bias
 * (Chen et al. 2021, arXiv 2107.03374, equation 1):
 *
 *   1 − C(n−c, k) / C(n, k)  =  1 − Π_{i = n−c+1..n} (1 − k/i)
 *
 * The product has no large binomials. 1 where fewer than k answers are wrong.
 * @param n answers, at least k
 * @param c right ones, 0..n
 */
export function passAtK(n: number, c: number, k: number): number {
  if (n - c < k) return 1;
  let noneRight = 1;
  for (let i = n - c + 1; i <= n; i++) noneRight *= 1 - k / i;
  return 1 - noneRight;
}
