/**
 * Ours beside its peers, in one sitting:
 *
 *   bench/peers/setup.sh FOLDER MODEL                      once: what ours is compared with (README.md)
 *   npm run compare:peers -- --peers FOLDER                everything, some 25 minutes on two cores
 *   npm run compare:peers -- --peers FOLDER --only products,sampling --repeats 5 --out peers.html
 *
 * Contenders take turns, round by round, and ratios are taken within a round, so that a machine that slows down or
 * speeds up does not favour anyone. A peer that is missing is named with the way to get it, and the others go on.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { BENCH_MODES, type BenchMode, geometryOf } from '../../lib';
import { processorName } from '../../lib/bench/kernels';
import { openModelSource, pathOfSource } from '../../lib/model/formats';
import { renderPage } from '../../lib/report/page';
import type { Comparison } from './comparison';
import { measureGrowth } from './growth';
import { sittingReport } from './page';
import { findPeers, type Setting } from './setting';
import { type Sitting, summaryOf } from './sitting';
import { compareProducts, compareSampling, compareSteps, workloadOf } from './suites';
import { sittingText } from './text';

const SUITES = ['products', 'sampling', 'steps', 'growth'] as const;
type Suite = (typeof SUITES)[number];

interface Flags {
  peers: string;
  model?: string;
  python?: string;
  llamaCpp?: string;
  only: Suite[];
  modes: BenchMode[];
  threads: number;
  repeats?: number;
  steps?: number;
  quick: boolean;
  json: boolean;
  out?: string;
}

function readFlags(argv: readonly string[]): Flags {
  return new Command('peers')
    .description('Ours beside PyTorch, TRL, llama.cpp, oneDNN and OpenBLAS, in one sitting.')
    .requiredOption('--peers <folder>', 'what setup.sh made')
    .option('--model <source>', 'what ours loads (default: models/hf in that folder, as the others do)')
    .option('--python <file>', 'a Python with torch, transformers and trl (default: the one in the folder)')
    .option('--llama-cpp <folder>', 'a build of llama.cpp (default: the one in the folder)')
    .addOption(listOption('--only <suites>', SUITES))
    .addOption(listOption('--modes <names>', BENCH_MODES))
    .option('--threads <n>', 'compute threads of every contender', whole, availableParallelism())
    .option('--repeats <n>', 'rounds of products and sampling (default: 3; quick: 1)', whole)
    .option(
      '--steps <n>',
      'steps of training, of which the first two do not count (default: 4; quick: 2)',
      whole,
    )
    .option('--quick', 'small sizes, to see that all is there', false)
    .option(
      '--json',
      'print one object, with all figures and ratios; the table goes to the error output',
      false,
    )
    .option('--out <file>', 'write a page with tables and plots')
    .parse(argv, { from: 'user' })
    .opts<Flags>();
}

function listOption(flags: string, known: readonly string[]): Option {
  const parse = (text: string): string[] =>
    text.split(',').map((name) => {
      const found = known.find((one) => one === name);
      if (found === undefined) throw new InvalidArgumentError(`Expected some of ${known.join(', ')}.`);
      return found;
    });
  return new Option(flags, `comma-separated: ${known.join(', ')} (default: all)`)
    .default([...known], 'all')
    .argParser(parse);
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new InvalidArgumentError('Expected a whole number above 0.');
  return value;
}

async function main(): Promise<void> {
  const flags = readFlags(process.argv.slice(2));
  const { threads, modes, quick, only } = flags;
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => controller.abort(new Error('stopped')));
  const model = pathOfSource(flags.model ?? join(flags.peers, 'models', 'hf'));
  const geometry = geometryOf(openModelSource(model).config);
  const missing: Sitting['missing'] = [];
  const tell: Setting['missing'] = (what, why) => {
    missing.push({ what, why });
    process.stderr.write(`not measured: ${what}: ${why}\n`);
  };
  const setting: Setting = {
    model,
    threads,
    modes,
    quick,
    repeats: flags.repeats ?? (quick ? 1 : 3),
    peers: await findPeers(flags, flags.model ?? 'MODEL', tell),
    signal: controller.signal,
    progress: (what) => process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`),
    missing: tell,
  };
  const sitting: Sitting = {
    date: new Date().toISOString().slice(0, 10),
    processor: processorName(),
    threads,
    model: flags.model ?? 'models/hf',
    geometry,
    modes,
    workload: workloadOf(setting),
    versions: setting.peers.versions,
    comparisons: [],
    growth: [],
    missing,
  };
  const steps = flags.steps ?? (quick ? 2 : 4);
  const add = (comparisons: readonly Comparison[]) =>
    void sitting.comparisons.push(...comparisons.filter(({ figures }) => Object.keys(figures).length > 0));
  const suites: Record<Suite, () => Promise<void>> = {
    products: async () => add(await compareProducts(setting, geometry)),
    sampling: async () => add(await compareSampling(setting)),
    steps: async () => add(await compareSteps(setting, steps)),
    growth: async () => {
      for await (const point of measureGrowth(setting)) sitting.growth.push(point);
    },
  };
  try {
    for (const suite of SUITES.filter((name) => only.includes(name))) await suites[suite]();
  } finally {
    // What there is, also when somebody has had enough.
    (flags.json ? process.stderr : process.stdout).write(`${sittingText(sitting)}\n`);
    if (flags.json) process.stdout.write(`${JSON.stringify(summaryOf(sitting))}\n`);
    if (flags.out !== undefined) await writeFile(flags.out, await renderPage(sittingReport(sitting)));
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
