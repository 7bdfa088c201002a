/** All that a sitting found, and what follows from it. */
import {
  type BenchGeometry,
  type BenchMode,
  modeOptions,
  type Workload,
  workloadOperations,
} from '../../lib';
import { type Comparison, present, ratiosOf, type Spread, spreadOf } from './comparison';
import type { GrowthPoint } from './growth';
import { ourName } from './setting';
import { PROBE, STEP } from './suites';

export interface Sitting {
  date: string;
  processor: string;
  threads: number;
  model: string;
  geometry: BenchGeometry;
  modes: readonly BenchMode[];
  workload: Workload;
  versions: Readonly<Record<string, string>>;
  comparisons: Comparison[];
  growth: GrowthPoint[];
  missing: { what: string; why: string }[];
}

export interface StepLimit {
  mode: BenchMode;
  /** The best rate of multiply-adds seen in the sitting, by whomever. */
  gflops: number;
  by: string;
  operations: number;
  /** What the operations take at that rate. */
  seconds: number;
  /** Of the limit. */
  share: Spread;
}

/** How near our steps come to their limit; nothing without products or steps. */
export function stepLimits({ comparisons, modes, geometry, workload }: Sitting): StepLimit[] {
  const rates = comparisons
    .filter(({ unit }) => unit === 'GFLOP/s')
    .flatMap(({ figures }) =>
      Object.entries(figures).flatMap(([by, all]) => present(all).map((gflops) => ({ by, gflops }))),
    );
  const steps = comparisons.find(({ name }) => name === STEP);
  if (rates.length === 0 || !steps) return [];
  const { by, gflops } = rates.reduce((a, b) => (b.gflops > a.gflops ? b : a));
  return modes.flatMap((mode) => {
    const taken = present(steps.figures[ourName(mode)] ?? []);
    if (taken.length === 0) return [];
    const operations = workloadOperations(geometry, workload, modeOptions(mode).trained).step;
    const seconds = operations / (gflops * 1e9);
    return { mode, gflops, by, operations, seconds, share: spreadOf(taken.map((time) => seconds / time)) };
  });
}

/** The sitting with what follows from it: what `--json` prints. */
export function summaryOf(sitting: Sitting) {
  return { ...sitting, ratios: sitting.comparisons.flatMap(ratiosOf), limits: stepLimits(sitting) };
}

/** The probe is no peer but a limit: of a product the ratio to it is a share. */
export const isProbe = (name: string): boolean => name === PROBE;
