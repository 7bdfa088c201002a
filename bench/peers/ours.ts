/** Ours as a worker: `ours.ts MODE THREADS MODEL`. It loads the model when it is first asked for something of it. */
import { createInterface } from 'node:readline';
import {
  benchKernels,
  type BenchMode,
  decodeSeconds,
  type DecodeSizes,
  LspError,
  openTraining,
  peakMemoryBytes,
  prefillSeconds,
  type Product,
  timeSteps,
  type Training,
  type Workload,
} from '../../lib';

export type OurRequest =
  | { do: 'products'; products: Product[]; seconds: number }
  | { do: 'prefill'; tokens: number }
  | { do: 'decode'; sizes: DecodeSizes }
  | { do: 'step'; workload: Workload };

const [mode, threads, source] = [process.argv[2] as BenchMode, Number(process.argv[3]), process.argv[4]!];
let opened: Promise<Training> | undefined;
const training = () => (opened ??= openTraining(source, { mode, threads }));

/** The steps under way, and of which workload. */
let steps: { of: string; run: ReturnType<typeof timeSteps> } | undefined;

async function takeStep(workload: Workload) {
  const of = JSON.stringify(workload);
  if (steps?.of !== of) steps = { of, run: timeSteps(await training(), workload) };
  const { value } = await steps.run.next();
  return { ...value, peakMemoryBytes: peakMemoryBytes() };
}

async function answer(request: OurRequest): Promise<unknown> {
  switch (request.do) {
    case 'products': {
      const { products, seconds } = request;
      const bench = await benchKernels({ ops: ['product'], products, threads, secondsPerCase: seconds });
      return {
        peak: bench.peaks.gflops.f32,
        gflops: products.map(
          ([t, k, n]) => bench.kernels.find(({ name }) => name === `forward T=${t} K=${k} N=${n}`)!.gflops,
        ),
      };
    }
    case 'prefill':
      return { seconds: await prefillSeconds((await training()).model, request.tokens, { mode }) };
    case 'decode':
      return { seconds: await decodeSeconds((await training()).model, request.sizes, { mode }) };
    case 'step':
      return takeStep(request.workload);
  }
}

const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function main(): Promise<void> {
  say({ ready: true });
  for await (const line of createInterface(process.stdin)) say(await answer(JSON.parse(line) as OurRequest));
  await (await opened)?.[Symbol.asyncDispose]();
}

main().catch((error: unknown) => {
  console.error(error instanceof LspError ? `${error.code}: ${error.message}` : error);
  process.exit(1); // not when the model's threads have nothing to do any more: whoever asks waits for an answer
});
