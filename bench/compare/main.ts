/**
 * The comparison: every method over the same seeds, at an equal number of generated tokens, on the bundled model.
 *
 *     npm run compare                                    all methods of play, 10 seeds
 *     npm run compare -- --methods grpo,lsp --seeds 3 --first-seed 100 --out runs/other-seeds
 *     npm run compare -- --methods losses                the losses of GRPO: see losses.ts
 *
 * Each run is a process of its own with one thread; two run at a time. Results are appended to results.jsonl as they
 * come: started again, the command does what is missing (all of it, after a change of the code). At the end it prints
 * a table and writes compare.html.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';
import { Command, InvalidArgumentError, Option } from 'commander';
import { fingerprintModel } from '../../lib';
import { pathOfSource } from '../../lib/model/formats';
import { renderPage } from '../../lib/report/page';
import { CODE_HASH } from './code';
import { measure, measureBase, type Measurement, type MeasureOptions } from './measure';
import { LOSS_METHODS } from './losses';
import { METHODS } from './methods';
import { comparisonReport } from './page';
import { comparisonTable } from './table';

interface Flags {
  methods: string;
  seeds: number;
  firstSeed: number;
  budget: number;
  learningRate: number;
  model: string;
  out: string;
  /** What a process of this command is asked to do: one run, as JSON. */
  run?: string;
}

interface Job {
  method: string;
  options: MeasureOptions;
}

function readFlags(argv: readonly string[]): Flags {
  return new Command('compare')
    .description('Methods of training against each other in the tiny world, over paired seeds.')
    .option('--methods <names>', 'comma-separated; play, losses', 'play')
    .option('--seeds <n>', 'seeds of each method', whole(1), 10)
    .option('--first-seed <n>', 'the others follow it', whole(0), 0)
    .option('--budget <n>', 'generated tokens of each run', whole(1), 240_000)
    .option('--learning-rate <x>', 'of AdamW', positive, 3e-4)
    .option('--model <path>', 'the base model', 'tiny')
    .option('--out <dir>', 'where results.jsonl and compare.html go', 'runs/compare')
    .addOption(new Option('--run <json>').hideHelp())
    .parse(argv, { from: 'user' })
    .opts<Flags>();
}

function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text === '' || !Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`Expected a whole number of at least ${least}.`);
    return value;
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value < Infinity)) throw new InvalidArgumentError('Expected a number above 0.');
  return value;
}

async function main(): Promise<void> {
  const flags = readFlags(process.argv.slice(2));
  if (flags.run !== undefined) return runOne(JSON.parse(flags.run) as Job);
  mkdirSync(flags.out, { recursive: true });
  const results = join(flags.out, 'results.jsonl');
  const jobs = await plan(flags);
  await runAll(
    jobs.filter((job) => !find(read(results), job)),
    results,
  );
  const measurements = jobs.flatMap((job) => find(read(results), job) ?? []);
  console.log(comparisonTable(measurements));
  const page = join(flags.out, 'compare.html');
  await writeFile(page, await renderPage(comparisonReport(measurements)));
  console.log(`\n${page}`);
}

const ALL = [...METHODS, ...LOSS_METHODS];
const SETS: Readonly<Record<string, typeof METHODS>> = { play: METHODS, losses: LOSS_METHODS };

/** `play` and `losses` stand for all methods of that kind. */
function namesOf(methods: string): string[] {
  const given = methods.split(',').map((name) => name.trim());
  return [...new Set(given.flatMap((name) => SETS[name]?.map((method) => method.name) ?? [name]))];
}

/** Seed by seed, so that whatever is there when the command is interrupted has its pairs. */
async function plan({ methods, seeds, firstSeed, budget, learningRate, model }: Flags): Promise<Job[]> {
  const names = namesOf(methods);
  const unknown = names.find((name) => !ALL.some((method) => method.name === name));
  if (unknown !== undefined)
    throw new Error(`no method ${unknown}; known: ${ALL.map((m) => m.name).join(', ')}`);
  const { path, files } = await fingerprintModel(pathOfSource(model));
  const weights = files.find(({ file }) => /\.(?:safetensors|gguf)$/.test(file));
  const base = { path, sha256: weights?.sha256 ?? '' };
  const options = (seed: number) => ({ seed, budget, learningRate, threads: 1, model: base });
  return [
    { method: 'base', options: options(0) },
    ...Array.from({ length: seeds }, (_, i) => firstSeed + i).flatMap((seed) =>
      names.map((method) => ({ method, options: options(seed) })),
    ),
  ];
}

/** Whole records; a line that an interruption cut off is none. */
function read(path: string): Measurement[] {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return line === '' ? [] : [JSON.parse(line) as Measurement];
      } catch {
        return [];
      }
    });
}

function find(all: readonly Measurement[], { method, options }: Job): Measurement | undefined {
  const { seed, budget, learningRate, model } = options;
  return all.find(
    (one) =>
      one.method === method &&
      one.seed === seed &&
      one.model === model.sha256 &&
      one.code === CODE_HASH &&
      (method === 'base' || (one.budget === budget && one.learningRate === learningRate)),
  );
}

async function runAll(jobs: readonly Job[], results: string): Promise<void> {
  if (jobs.length === 0) return;
  const bar = new SingleBar({
    format: '{bar} {value}/{total} runs · ETA {eta_formatted} · {last}',
    noTTYOutput: true,
    notTTYSchedule: 30_000,
  });
  bar.start(jobs.length, 0, { last: '' });
  const queue = [...jobs];
  const worker = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) {
      const measurement = await inProcess(job);
      // A line break first: the line before may have been cut off.
      await appendFile(results, `\n${measurement}\n`);
      const { method, seed, accuracy } = JSON.parse(measurement) as Measurement;
      bar.increment(1, { last: `${method}, seed ${seed}: ${accuracy.toFixed(3)}` });
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
  } finally {
    queue.length = 0; // after a failure the other process finishes its run, and no more begin
    bar.stop();
  }
}

/** Runs this file for one job; its last line is the measurement. */
function inProcess(job: Job): Promise<string> {
  const args = [
    '-r',
    require.resolve('ts-node/register/transpile-only'),
    __filename,
    '--run',
    JSON.stringify(job),
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code) => {
      if (code === 0) resolve(output.trim().split('\n').at(-1)!);
      else reject(new Error(`${job.method}, seed ${job.options.seed}: exit code ${code}`));
    });
  });
}

async function runOne({ method, options }: Job): Promise<void> {
  const known = ALL.find(({ name }) => name === method);
  const measurement = known ? await measure(known, options) : await measureBase(options);
  console.log(JSON.stringify(measurement));
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
