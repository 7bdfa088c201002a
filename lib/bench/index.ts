/** Measuring: the machine, the kernels on it, and whole steps of a model, each beside its limit. */
export { type BenchGeometry, geometryOf, SMOLLM2_135M } from './geometry';
export {
  BENCH_PRODUCTS,
  BENCH_ROWS,
  benchKernels,
  benchOps,
  type KernelBench,
  type KernelBenchOptions,
  type KernelResult,
  type MachinePeaks,
  type Product,
} from './kernels';
export { benchModel, type ModelBench, type ModelBenchOptions, type PhaseResult } from './end-to-end';
export {
  causalPairs,
  decodeOperations,
  forwardOperations,
  W1,
  type Workload,
  workloadOperations,
  type WorkloadOperations,
} from './operations';
export { kernelTimes, type ProfileEntry, profileOf } from './profile';
export { decodeSeconds, type DecodeSizes, prefillSeconds, type SamplingOptions } from './sampling';
export {
  BENCH_MODES,
  type BenchMode,
  modeOptions,
  type ModeOptions,
  openTraining,
  peakMemoryBytes,
  type StepTimes,
  timeSteps,
  type Training,
} from './workload';
