/** What is measured: matrix products, prefill and decoding, whole steps. Rounds go through all contenders in turn. */
import { type BenchGeometry, BENCH_PRODUCTS, type Product, W1, type Workload } from '../../lib';
import { type Comparison, Rounds } from './comparison';
import { llamaDecode, llamaPrefill } from './llama';
import type { OurRequest } from './ours';
import {
  attempt,
  LIBRARIES,
  ourName,
  ourProgram,
  productProgram,
  type Setting,
  startAll,
  TRAINERS,
  trainerProgram,
} from './setting';
import type { Worker, WorkerProgram } from './worker';

export const PROBE = 'FMA probe';

/** As lsp bench does it (native/bench): fewer rows find their weights in memory, not in a cache. */
const COLD_ROWS = 128;
const COLD_FLOATS = 1 << 27;

const ask = <T>(worker: Worker, request: OurRequest): Promise<T> => worker.ask<T>(request);

/** Programs whose packages are there. */
function available<T extends { needs: string | readonly string[] }>(
  { peers }: Setting,
  all: readonly T[],
): T[] {
  if (!peers.python) return [];
  return all.filter(({ needs }) => [needs].flat().every((name) => peers.versions[name] !== undefined));
}

/** Rounds through all workers; one that fails is told of and takes no further part. */
async function rounds(
  setting: Setting,
  programs: readonly WorkerProgram[],
  count: number,
  what: string,
  measure: (worker: Worker, name: string, round: number) => Promise<void>,
): Promise<void> {
  const workers = await startAll(setting, programs);
  try {
    for (let round = 0; round < count; round++) {
      for (const [name, worker] of workers) {
        setting.progress(`${what}, round ${round + 1} of ${count}: ${name}`);
        if (!(await attempt(setting, `${what}: ${name}`, () => measure(worker, name, round)))) {
          workers.delete(name);
          await worker[Symbol.asyncDispose]();
        }
      }
    }
  } finally {
    for (const worker of workers.values()) await worker[Symbol.asyncDispose]();
  }
}

/** The products of the kind: cubes, a layer's in training and in decoding, the head. */
export function productsOf({ hiddenSize: c, intermediateSize: f, vocabSize: v }: BenchGeometry): Product[] {
  const layer: Product[] = [
    [1024, c, f],
    [1024, f, c],
    [32, c, f],
  ];
  const head: Product[] = [
    [32, c, v],
    [1024, c, v],
  ];
  return [BENCH_PRODUCTS[0]!, ...layer, ...head];
}

export function productName([t, k, n]: Product): string {
  return `${t} × ${k} × ${n}${t < COLD_ROWS ? ', weights cold' : ''}`;
}

export async function compareProducts(setting: Setting, geometry: BenchGeometry): Promise<Comparison[]> {
  const products = productsOf(geometry);
  const all = products.map(() => new Rounds());
  const libraries = available(setting, LIBRARIES);
  const programs = [
    ourProgram(setting, 'exact'),
    ...libraries.map((library) => productProgram(setting, library)),
  ];
  const seconds = setting.quick ? 0.1 : 0.3;
  let current = -1;
  await rounds(setting, programs, setting.repeats, 'products', async (worker, name, round) => {
    if (round !== current) all.forEach((one) => one.begin());
    current = round;
    if (name === ourName('exact')) {
      const request = { do: 'products', products, seconds } as const;
      const { peak, gflops } = await ask<{ peak: number; gflops: number[] }>(worker, request);
      all.forEach((one, i) => {
        one.add(name, gflops[i]!);
        one.add(PROBE, peak);
      });
      return;
    }
    for (const [i, product] of products.entries()) {
      const request = { product, seconds, coldFloats: COLD_FLOATS, coldRows: COLD_ROWS };
      const { seconds: best } = await worker.ask<{ seconds: number }>(request);
      const [t, k, n] = product;
      all[i]!.add(name, (2 * t * k * n) / best / 1e9);
    }
  });
  return products.map((product, i) => ({
    name: productName(product),
    unit: 'GFLOP/s',
    better: 'higher',
    figures: all[i]!.figures(),
  }));
}

/** A sequence as in W1. */
const DECODE = { promptTokens: W1.promptTokens, newTokens: W1.newTokens };
const BATCHES = [1, 8, 32];
const PREFILL = { tokens: 512, quick: 128 };

export async function compareSampling(setting: Setting): Promise<Comparison[]> {
  const decode = new Map(BATCHES.map((batch) => [batch, new Rounds()]));
  const prefill = new Rounds();
  const { promptTokens } = DECODE;
  const newTokens = setting.quick ? 32 : DECODE.newTokens;
  const read = setting.quick ? PREFILL.quick : PREFILL.tokens;
  const llama = Object.entries(setting.peers.llama?.models ?? {});
  const workers = await startAll(
    setting,
    setting.modes.map((mode) => ourProgram(setting, mode)),
  );
  try {
    for (let round = 0; round < setting.repeats; round++) {
      [prefill, ...decode.values()].forEach((one) => one.begin());
      const of = `sampling, round ${round + 1} of ${setting.repeats}`;
      for (const [name, worker] of workers) {
        setting.progress(`${of}: ${name}`);
        await attempt(setting, `sampling: ${name}`, async () => {
          for (const [batch, figures] of decode) {
            const sizes = { batch, promptTokens, newTokens };
            const { seconds } = await ask<{ seconds: number }>(worker, { do: 'decode', sizes });
            figures.add(name, (batch * (newTokens - 1)) / seconds);
          }
          const { seconds } = await ask<{ seconds: number }>(worker, {
            do: 'prefill',
            tokens: read,
          });
          prefill.add(name, read / seconds);
        });
      }
      for (const [type, gguf] of llama) {
        const name = `llama.cpp ${type}`;
        setting.progress(`${of}: ${name}`);
        const { threads, signal } = setting;
        const run = { bin: setting.peers.llama!.bin, gguf, threads, signal };
        await attempt(setting, `sampling: ${name}`, async () => {
          const speeds = await llamaDecode(run, BATCHES, promptTokens, newTokens);
          for (const [batch, speed] of speeds) decode.get(batch)!.add(name, speed);
          prefill.add(name, await llamaPrefill(run, read));
        });
      }
    }
  } finally {
    for (const worker of workers.values()) await worker[Symbol.asyncDispose]();
  }
  return [
    ...[...decode].map(([batch, one]): Comparison => {
      const name = `decode, ${batch} ${batch === 1 ? 'sequence' : 'sequences'}`;
      return { name, unit: 'tokens/s', better: 'higher', figures: one.figures() };
    }),
    {
      name: `prefill, ${read} tokens`,
      unit: 'tokens/s',
      better: 'higher',
      figures: prefill.figures(),
    },
  ];
}

interface StepFigures {
  rolloutSeconds: number;
  referenceSeconds: number;
  updateSeconds: number;
  totalSeconds: number;
  peakMemoryBytes: number;
}

/** Steps that do not count: allocations, caches of the libraries. */
const WARM_UP_STEPS = 2;

export function workloadOf({ quick }: Pick<Setting, 'quick'>): Workload {
  return quick ? { queries: 2, answers: 4, promptTokens: 32, newTokens: 16 } : W1;
}

/** Names of the comparisons of a step. */
export const STEP = 'step';
export const PEAK_MEMORY = 'peak memory';

export async function compareSteps(setting: Setting, steps: number): Promise<Comparison[]> {
  const workload = workloadOf(setting);
  const tokens = workload.queries * workload.answers * workload.newTokens;
  const warmUp = Math.min(WARM_UP_STEPS, steps - 1);
  const phases = ['rollout', 'reference', 'update', STEP, 'update per rollout token', PEAK_MEMORY] as const;
  const all = Object.fromEntries(phases.map((phase) => [phase, new Rounds()])) as Record<
    (typeof phases)[number],
    Rounds
  >;
  const trainers = available(setting, TRAINERS);
  const programs = [
    ...setting.modes.map((mode) => ourProgram(setting, mode)),
    ...trainers.map((trainer) => trainerProgram(setting, trainer, workload)),
  ];
  let current = warmUp - 1;
  await rounds(setting, programs, steps, 'steps', async (worker, name, round) => {
    // Ours reads the request; the others were told their workload when they were started.
    const figures = await ask<StepFigures>(worker, { do: 'step', workload });
    setting.progress(`${name}: step ${round + 1} took ${figures.totalSeconds.toFixed(2)} s`);
    if (round < warmUp) return;
    if (round !== current) Object.values(all).forEach((one) => one.begin());
    current = round;
    all.rollout.add(name, figures.rolloutSeconds);
    all.reference.add(name, figures.referenceSeconds);
    all.update.add(name, figures.updateSeconds);
    all[STEP].add(name, figures.totalSeconds);
    all['update per rollout token'].add(name, (1e3 * figures.updateSeconds) / tokens);
    all[PEAK_MEMORY].add(name, figures.peakMemoryBytes / 1e9);
  });
  const units: Partial<Record<(typeof phases)[number], string>> = {
    'update per rollout token': 'ms',
    [PEAK_MEMORY]: 'GB',
  };
  return phases.map((phase) => ({
    name: phase,
    unit: units[phase] ?? 's',
    better: 'lower',
    figures: all[phase].figures(),
  }));
}
