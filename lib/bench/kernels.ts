/**
 * How fast the kernels are on this machine, beside what the machine can do.
 *
 * A kernel's limit is the larger of (operations / peak rate of multiply-adds) and (bytes / peak rate of reading)
 * (Williams, Waterman and Patterson 2009). The peaks are measured before and after the kernels, and the better figure of
 * each counts: a neighbour or a slow clock only ever lowers one.
 */
import { availableParallelism, cpus } from 'node:os';
import type { NativeArithmetic, NativeMeasurement, NativePeak } from '../native/addon';
import { nativeSync, withSignal } from '../native/call';
import { loadAddon } from '../native/load';
import {
  checkOptions,
  expectArray,
  expectFunction,
  expectInteger,
  expectNumber,
  expectOneOf,
  expectSignal,
  isRecord,
  invalid,
} from '../options';
import { type BenchGeometry, geometryOf, SMOLLM2_135M } from './geometry';

export interface KernelResult {
  op: string;
  /** The pass and its shape: `forward qkv T=32 K=576 N=960`. */
  name: string;
  /** What is multiplied. */
  arithmetic: NativeArithmetic;
  /** The best call. */
  seconds: number;
  gflops: number;
  gigabytesPerSecond: number;
  /** What limits it. */
  bound: 'compute' | 'memory';
  /** Of the limit; above 1 where data stay in a cache. */
  share: number;
}

export interface MachinePeaks {
  /** 10^9 operations per second in registers; f32's where the processor has no instruction for an arithmetic. */
  gflops: Record<NativeArithmetic, number>;
  /** Reading from memory. */
  gigabytesPerSecond: number;
  /** Copying within memory, read and written bytes together. */
  copyGigabytesPerSecond: number;
}

export interface KernelBench {
  processor: string;
  /** Variant of the kernels in force (`LSP_ISA` chooses). */
  isa: string;
  threads: number;
  geometry: BenchGeometry;
  /** The better of those before and after, each by itself. */
  peaks: MachinePeaks;
  peaksBefore: MachinePeaks;
  peaksAfter: MachinePeaks;
  kernels: KernelResult[];
}

export interface KernelBenchOptions {
  /** Sizes of the model (default SmolLM2-135M's). */
  geometry?: BenchGeometry;
  /** Kernels (default all). Without any, only the machine is measured. */
  ops?: readonly string[];
  /** Tokens of the cases, 1..65536 (default 1, 8, 32 as in decoding, 256 to 4096 as in training). */
  rows?: readonly number[];
  /** Products [T, K, N] of the op `product` (default 2048 x 2048 x 2048 and 32 x 576 x 1536). */
  products?: readonly Product[];
  /** Compute threads (default all cores). */
  threads?: number;
  /** Time that each case is repeated for, at least five calls (default 0.3). */
  secondsPerCase?: number;
  signal?: AbortSignal;
  /** Called with each result, its share by the peaks before. */
  onResult?: (result: KernelResult) => void;
}

/** The default of `rows`. */
export const BENCH_ROWS: readonly number[] = [1, 8, 32, 256, 512, 1024, 2048, 4096];

/** A product of x (T, K) and a weight (K, N). */
export type Product = readonly [t: number, k: number, n: number];

/** The default of `products`: the libraries' favourite, and one of a model that decodes 32 sequences. */
export const BENCH_PRODUCTS: readonly Product[] = [
  [2048, 2048, 2048],
  [32, 576, 1536],
];

const OPTIONS = [
  'geometry',
  'ops',
  'rows',
  'products',
  'threads',
  'secondsPerCase',
  'signal',
  'onResult',
] satisfies (keyof KernelBenchOptions)[];

/** Names of the kernels that can be measured. @throws LspError NATIVE_LOAD_FAILED */
export function benchOps(): string[] {
  return loadAddon().bench.ops();
}

/**
 * Measures this machine and the kernels on it. Run it on an idle machine: a neighbour lowers every figure.
 *
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION, OUT_OF_MEMORY, NATIVE_LOAD_FAILED; the signal's reason when aborted
 */
export async function benchKernels(options?: KernelBenchOptions): Promise<KernelBench> {
  const checked = checkKernelBenchOptions(options);
  const { geometry, ops, rows, products, threads, secondsPerCase, signal, onResult } = checked;
  const measurements: NativeMeasurement[] = [];
  let before: NativePeak | undefined;
  const after = await withSignal(signal, (handle) =>
    loadAddon().bench.run(
      {
        geometry,
        ops,
        rows,
        products,
        threads,
        secondsPerCase,
        onPeak: (peak) => void (before = peak),
        onMeasurement: (measurement) => {
          measurements.push(measurement);
          onResult?.(resultOf(measurement, peaksOf(before!)));
        },
      },
      handle,
    ),
  );
  const [peaksBefore, peaksAfter] = [peaksOf(before!), peaksOf(after)];
  const peaks = betterPeaks(peaksBefore, peaksAfter);
  return {
    processor: processorName(),
    isa: nativeSync(() => loadAddon().isa().active),
    threads,
    geometry,
    peaks,
    peaksBefore,
    peaksAfter,
    kernels: measurements.map((measurement) => resultOf(measurement, peaks)),
  };
}

/** The options with their defaults. @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
export function checkKernelBenchOptions(options?: KernelBenchOptions) {
  const given = checkOptions(options, OPTIONS, 'benchKernels');
  const { geometry = SMOLLM2_135M, rows = BENCH_ROWS, products = BENCH_PRODUCTS } = given;
  const { threads = availableParallelism() } = given;
  if (!isRecord(geometry)) throw invalid('geometry', 'the sizes of a model', geometry);
  const known = benchOps();
  return {
    geometry: geometryOf(geometry),
    ops: expectArray('ops', given.ops ?? known).map((op) => expectOneOf('ops', op, known)),
    rows: expectArray('rows', rows, { nonEmpty: true }).map((count) =>
      expectInteger('rows', count, { min: 1, max: 65536 }),
    ),
    products: expectArray('products', products).map(checkProduct),
    threads: expectInteger('threads', threads, { min: 1, max: 256 }),
    secondsPerCase: expectNumber('secondsPerCase', given.secondsPerCase ?? 0.3, { min: 0, max: 60 }),
    signal: expectSignal('signal', given.signal),
    onResult: given.onResult && expectFunction('onResult', given.onResult),
  };
}

function checkProduct(product: unknown): Product {
  const sizes = expectArray('products', product).map((size) =>
    expectInteger('products', size, { min: 1, max: 65536 }),
  );
  if (sizes.length !== 3) throw invalid('products', '3 sizes each (T, K, N)', product);
  return [sizes[0]!, sizes[1]!, sizes[2]!];
}

export function processorName(): string {
  return cpus()[0]?.model.trim() || 'unknown';
}

/** The better of each figure. */
export function betterPeaks(a: MachinePeaks, b: MachinePeaks): MachinePeaks {
  const gflops = (kind: NativeArithmetic) => Math.max(a.gflops[kind], b.gflops[kind]);
  return {
    gflops: { f32: gflops('f32'), bf16: gflops('bf16'), int8: gflops('int8') },
    gigabytesPerSecond: Math.max(a.gigabytesPerSecond, b.gigabytesPerSecond),
    copyGigabytesPerSecond: Math.max(a.copyGigabytesPerSecond, b.copyGigabytesPerSecond),
  };
}

function peaksOf({ flops, bytes, copyBytes }: NativePeak): MachinePeaks {
  return {
    gflops: { f32: flops.f32 / 1e9, bf16: flops.bf16 / 1e9, int8: flops.int8 / 1e9 },
    gigabytesPerSecond: bytes / 1e9,
    copyGigabytesPerSecond: copyBytes / 1e9,
  };
}

function resultOf(measurement: NativeMeasurement, peaks: MachinePeaks): KernelResult {
  const { op, name, arithmetic, seconds, flops, bytes } = measurement;
  const compute = flops / (1e9 * peaks.gflops[arithmetic]);
  const memory = bytes / (1e9 * peaks.gigabytesPerSecond);
  return {
    op,
    name,
    arithmetic,
    seconds,
    gflops: flops / seconds / 1e9,
    gigabytesPerSecond: bytes / seconds / 1e9,
    bound: compute > memory ? 'compute' : 'memory',
    share: Math.max(compute, memory) / seconds,
  };
}
