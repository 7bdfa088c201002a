/** `lsp bench`: what this machine can do, and how near the kernels, or the phases of a whole step, come to it. */
import { Command, InvalidArgumentError } from 'commander';
import {
  type BenchMode,
  BENCH_MODES,
  BENCH_PRODUCTS,
  BENCH_ROWS,
  geometryOf,
  type Product,
  type ProfileEntry,
  W1,
  type Workload,
} from '../bench';
import {
  benchModel,
  checkModelBenchOptions,
  type ModelBenchOptions,
  type PhaseResult,
} from '../bench/end-to-end';
import {
  benchKernels,
  benchOps,
  checkKernelBenchOptions,
  type KernelBenchOptions,
  type KernelResult,
  type MachinePeaks,
} from '../bench/kernels';
import { kernelReport, modelReport } from '../bench/page';
import { writeFileDurably } from '../disk/files';
import { LspError } from '../errors';
import { openModelSource } from '../model/formats';
import { renderPage } from '../report/page';
import type { Report } from '../report/types';
import { localModel, MODEL_SOURCES } from './local-model';
import { oneLine, Output, percent, type Streams } from './output';
import { stopOnSignals } from './signals';
import { checkUsage, numberFlag } from './usage';
import { packageVersion } from './versions';

interface KernelFlags {
  ops?: string[];
  rows?: number[];
  products?: Product[];
  secondsPerCase?: number;
}

interface ModelFlags extends Partial<Workload> {
  mode?: BenchMode;
  steps?: number;
}

interface BenchFlags extends KernelFlags, ModelFlags {
  model?: string;
  endToEnd?: boolean;
  threads?: number;
  out?: string;
  json?: boolean;
}

const KERNEL_FLAGS = ['ops', 'rows', 'products', 'secondsPerCase'] satisfies (keyof KernelFlags)[];
const WORKLOAD = ['queries', 'answers', 'promptTokens', 'newTokens'] satisfies (keyof Workload)[];
const MODEL_FLAGS = ['mode', 'steps', ...WORKLOAD] satisfies (keyof ModelFlags)[];

export function benchCommand(streams: Streams): Command {
  return new Command('bench')
    .description(
      'Measure what this machine can do, and how near every kernel, or with --end-to-end every phase of training, ' +
        'comes to it.',
    )
    .option('--model <source>', `whose shapes: ${MODEL_SOURCES} (default: shapes of SmolLM2-135M)`)
    .option('--threads <n>', 'compute threads (default: all cores)', numberFlag)
    .option('--ops <names...>', 'kernels to measure (default: all)')
    .option('--rows <n...>', `tokens at once (default: ${BENCH_ROWS.join(' ')})`, numbers)
    .option(
      '--products <TxKxN...>',
      `sizes of the kernel \`product\` (default: ${BENCH_PRODUCTS.map((sizes) => sizes.join('x')).join(' ')})`,
      products,
    )
    .option('--seconds-per-case <s>', 'time for each case (default: 0.3)', numberFlag)
    .option('--end-to-end', 'prefill, decoding and whole steps of training of the model, not single kernels')
    .option('--mode <name>', `how it is trained: ${BENCH_MODES.join(', ')} (default: exact)`)
    .option('--steps <n>', 'steps of training, of which the last counts (default: 3)', numberFlag)
    .option('--queries <n>', `queries of a step (default: ${W1.queries})`, numberFlag)
    .option('--answers <n>', `answers to each (default: ${W1.answers})`, numberFlag)
    .option('--prompt-tokens <n>', `tokens of a query (default: ${W1.promptTokens})`, numberFlag)
    .option('--new-tokens <n>', `tokens of an answer (default: ${W1.newTokens})`, numberFlag)
    .option('--out <file>', 'write a page with tables and plots')
    .option('--json', 'machine-readable output: one object')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lsp bench --out bench.html\n  $ lsp bench --ops linear logprob --rows 1 32 2048' +
        '\n  $ lsp bench --end-to-end --model model.gguf --threads 2' +
        '\n\nAll kernels take some two minutes. LSP_ISA chooses the variant. Close other programs: they lower every figure.',
    )
    .action(async (flags: BenchFlags) => {
      await bench(flags, new Output({ json: flags.json ?? false, streams }));
    });
}

function numbers(text: string, previous: number[] = []): number[] {
  return [...previous, numberFlag(text)];
}

function products(text: string, previous: Product[] = []): Product[] {
  const [t, k, n, more] = text.split('x').map(numberFlag);
  if (t === undefined || k === undefined || n === undefined || more !== undefined) {
    throw new InvalidArgumentError('Expected three sizes, such as 32x576x1536.');
  }
  return [...previous, [t, k, n]];
}

async function bench(flags: BenchFlags, output: Output): Promise<void> {
  checkUsage(() => {
    const [others, why] = flags.endToEnd
      ? ([KERNEL_FLAGS, 'It is for single kernels: leave `endToEnd` out.'] as const)
      : ([MODEL_FLAGS, 'It is for whole steps: add `endToEnd`.'] as const);
    for (const name of others) {
      if (flags[name] === undefined) continue;
      const beside = flags.endToEnd ? 'beside `endToEnd`' : 'without `endToEnd`';
      throw new LspError('INVALID_ARGUMENT', `Expected no \`${name}\` ${beside} but received one.`, {
        remedy: why,
      });
    }
    if (flags.endToEnd && flags.model === undefined) {
      throw new LspError('INVALID_ARGUMENT', 'Expected a `model` with `endToEnd` but received none.', {
        remedy: 'Name one, or `--model tiny`.',
      });
    }
  });
  const stopper = stopOnSignals();
  try {
    const { signal } = stopper;
    const path = flags.model === undefined ? undefined : await localModel(flags.model, output, signal);
    const report = flags.endToEnd
      ? await endToEnd(flags, path!, output, signal)
      : await kernels(flags, path, output, signal);
    if (flags.out === undefined) return;
    await writeFileDurably(flags.out, await renderPage(report));
    if (!output.json) output.line(flags.out);
  } finally {
    output.endProgress();
    stopper.release();
  }
}

async function kernels(
  flags: BenchFlags,
  path: string | undefined,
  output: Output,
  signal: AbortSignal,
): Promise<Report> {
  const { ops, rows, products: sizes, secondsPerCase, threads } = flags;
  const model = path === undefined ? 'SmolLM2-135M' : flags.model!;
  const options: KernelBenchOptions = {
    ...(path !== undefined && { geometry: geometryOf(openModelSource(path).config) }),
    ...(ops && { ops }),
    ...(rows && { rows }),
    ...(sizes && { products: sizes }),
    ...(secondsPerCase !== undefined && { secondsPerCase }),
    ...(threads !== undefined && { threads }),
  };
  checkUsage(() => checkKernelBenchOptions(options));
  const measured: KernelResult[] = [];
  const all = ops ?? benchOps();
  const tell = teller(output);
  tell(0, 'the machine');
  try {
    const result = await benchKernels({
      ...options,
      signal,
      onResult: (one) => {
        measured.push(one);
        tell(all.indexOf(one.op) / all.length, one.op, one.name);
      },
    });
    output.value({ lsp: packageVersion(), kind: 'kernels', model, ...result });
    if (!output.json) {
      showMachine(result, output);
      showKernels(result.kernels, output);
    }
    return kernelReport(result, model);
  } catch (error) {
    if (signal.aborted && measured.length > 0 && !output.json) {
      showKernels(measured, output);
      output.note('Stopped: shares are by the peaks measured at the beginning.');
    }
    throw error;
  }
}

async function endToEnd(
  flags: BenchFlags,
  path: string,
  output: Output,
  signal: AbortSignal,
): Promise<Report> {
  const workload = Object.fromEntries(
    WORKLOAD.flatMap((name) => (flags[name] === undefined ? [] : [[name, flags[name]]])),
  );
  const options: ModelBenchOptions = {
    workload,
    ...(flags.mode !== undefined && { mode: flags.mode }),
    ...(flags.steps !== undefined && { steps: flags.steps }),
    ...(flags.threads !== undefined && { threads: flags.threads }),
  };
  checkUsage(() => {
    const { workload: checked } = checkModelBenchOptions(path, options);
    const { maxPositions } = openModelSource(path).config;
    const length = checked.promptTokens + checked.newTokens;
    if (length <= maxPositions) return;
    throw new LspError(
      'INVALID_ARGUMENT',
      `Expected at most ${maxPositions} tokens, the model's context, for \`promptTokens\` and \`newTokens\` together ` +
        `but received ${length}.`,
    );
  });
  const tell = teller(output);
  const result = await benchModel(path, {
    ...options,
    signal,
    onPhase: (phase, done) => tell(done, phase),
  });
  const named = { ...result, model: flags.model! };
  output.value({ lsp: packageVersion(), kind: 'model', ...named });
  if (!output.json) {
    showMachine(result, output);
    showPhases(result.phases, output);
    showProfile(result.profile, output);
  }
  return modelReport(named);
}

/** Says what is being measured: in the progress bar, or without a terminal a line for each new thing. */
function teller(output: Output): (done: number, what: string, detail?: string) => void {
  let last = '';
  return (done, what, detail = '') => {
    output.progress(done, `${what} ${detail}`.trimEnd());
    if (what !== last && !output.drawsProgress) output.note(`measuring ${what}`);
    last = what;
  };
}

interface Machine {
  processor: string;
  isa: string;
  threads: number;
  peaks: MachinePeaks;
}

function showMachine({ processor, isa, threads, peaks }: Machine, output: Output): void {
  output.endProgress();
  const { gflops, gigabytesPerSecond, copyGigabytesPerSecond } = peaks;
  const rate = (value: number) => `${value.toFixed(0)} GFLOP/s`;
  output.line(output.bold(oneLine(processor)));
  output.line(`  ${isa}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`);
  output.line(
    `  multiply-adds  ${rate(gflops.f32)} in f32, ${rate(gflops.bf16)} in bf16, ${rate(gflops.int8)} in int8`,
  );
  output.line(
    `  memory         ${gigabytesPerSecond.toFixed(1)} GB/s reading, ${copyGigabytesPerSecond.toFixed(1)} copying`,
  );
  output.line(output.dim('  the better of before and after, each by itself'));
  output.line();
}

function showKernels(results: readonly KernelResult[], output: Output): void {
  output.endProgress();
  const width = Math.max(4, ...results.map(({ name }) => name.length));
  output.line(
    output.bold(
      `${'kernel'.padEnd(11)}${'case'.padEnd(width)}${'time'.padStart(12)}${'rate'.padStart(17)}  of the limit`,
    ),
  );
  for (const { op, name, seconds, gflops, gigabytesPerSecond, bound, share } of results) {
    const rate =
      bound === 'compute' ? `${gflops.toFixed(1)} GFLOP/s` : `${gigabytesPerSecond.toFixed(1)} GB/s   `;
    const time = `${(seconds * 1e6).toFixed(1)} µs`;
    output.line(
      `${op.padEnd(11)}${name.padEnd(width)}${time.padStart(12)}${rate.padStart(17)}` +
        `${percent(share, 0).padStart(8)} ${bound}`,
    );
  }
}

function showPhases(phases: readonly PhaseResult[], output: Output): void {
  output.line(
    output.bold(
      `${'phase'.padEnd(12)}${'seconds'.padStart(10)}${'tokens/s'.padStart(10)}${'GFLOP/s'.padStart(10)}  of the limit`,
    ),
  );
  for (const { phase, seconds, tokensPerSecond, gflops, bound, share } of phases) {
    output.line(
      `${phase.padEnd(12)}${seconds.toFixed(3).padStart(10)}${tokensPerSecond.toFixed(0).padStart(10)}` +
        `${gflops.toFixed(1).padStart(10)}${percent(share, 0).padStart(8)} ${bound}`,
    );
  }
}

function showProfile(profile: readonly ProfileEntry[], output: Output): void {
  const line = (kernel: string, cells: readonly string[]) =>
    output.line(kernel.padEnd(29) + cells.map((cell) => cell.padStart(10)).join(''));
  for (const phase of new Set(profile.map((one) => one.phase))) {
    output.line();
    output.line(output.bold(`where the time of ${phase} goes`));
    line('', ['seconds', 'share', 'calls', 'GFLOP/s', 'GB/s']);
    for (const one of profile.filter((entry) => entry.phase === phase)) {
      const rate = (value: number) => (value === 0 ? '' : value.toFixed(1));
      line(one.kernel, [
        one.seconds.toFixed(3),
        percent(one.share, 1),
        one.calls === 0 ? '' : String(one.calls),
        rate(one.gflops),
        rate(one.gigabytesPerSecond),
      ]);
    }
  }
}
