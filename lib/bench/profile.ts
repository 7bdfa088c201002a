/** Where the time of a phase goes: the calls of each kernel, as the engine counts them, and the rest. */
import type { NativeKernelTime } from '../native/addon';
import { nativeSync } from '../native/call';
import { loadAddon } from '../native/load';

export interface ProfileEntry {
  /** `rollout`, `reference`, `update`. */
  phase: string;
  /** `linear forward`; `rest` is what no kernel took: the model's own work between them, copies, JavaScript. */
  kernel: string;
  seconds: number;
  /** Of the phase's time. */
  share: number;
  /** 0 of the rest. */
  calls: number;
  /** 0 where operations, or bytes, of a kernel are not counted. */
  gflops: number;
  gigabytesPerSecond: number;
}

export const REST = 'rest';

/** Runs `make` so that the models that it makes time their kernels. They compute the same bits. */
export async function withTimedKernels<T>(make: () => Promise<T>): Promise<T> {
  nativeSync(() => loadAddon().bench.timeKernels(true));
  try {
    return await make();
  } finally {
    nativeSync(() => loadAddon().bench.timeKernels(false));
  }
}

/** Sums of all models with timed kernels, since the process began. */
export function kernelTimes(): NativeKernelTime[] {
  return nativeSync(() => loadAddon().bench.kernelTimes());
}

/** What came between two sums, the longest first. */
export function profileOf(
  phase: string,
  seconds: number,
  before: readonly NativeKernelTime[],
  after: readonly NativeKernelTime[],
): ProfileEntry[] {
  const entries = after.flatMap((now, i): ProfileEntry[] => {
    const then = before[i];
    const calls = now.calls - (then?.calls ?? 0);
    if (calls === 0) return [];
    const time = now.seconds - (then?.seconds ?? 0);
    return [
      {
        phase,
        kernel: now.name,
        seconds: time,
        share: time / seconds,
        calls,
        gflops: (now.flops - (then?.flops ?? 0)) / time / 1e9,
        gigabytesPerSecond: (now.bytes - (then?.bytes ?? 0)) / time / 1e9,
      },
    ];
  });
  const rest = seconds - entries.reduce((sum, one) => sum + one.seconds, 0);
  return [
    ...entries.sort((a, b) => b.seconds - a.seconds),
    { phase, kernel: REST, seconds: rest, share: rest / seconds, calls: 0, gflops: 0, gigabytesPerSecond: 0 },
  ];
}
