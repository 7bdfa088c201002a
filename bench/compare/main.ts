/**
 * The comparison: every method over the same seeds, at an equal number of generated tokens, on the bundled model.
 *
 *     npm run compare                                    all methods, 10 seeds
 *     npm run compare -- --methods grpo,lsp --seeds 3 --budget 100000 --out runs/compare
 *
 * Each run is a process of its own with one thread; two run at a time. Results are appended to results.jsonl as they
 * come: started again, the command does what is missing. At the end it prints a table and writes compare.html.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import { renderPage } from '../../lib/report/page';
import { measure, measureBase, type Measurement, type MeasureOptions } from './measure';
import { METHODS } from './methods';
import { comparisonReport } from './page';
import { comparisonTable } from './table';

const { values: flags } = parseArgs({
  options: {
    methods: { type: 'string', default: METHODS.map(({ name }) => name).join(',') },
    seeds: { type: 'string', default: '10' },
    budget: { type: 'string', default: '150000' },
    'learning-rate': { type: 'string', default: '3e-4' },
    model: { type: 'string', default: 'tiny' },
    out: { type: 'string', default: 'runs/compare' },
    // What a process of this command is asked to do: one run, as JSON.
    run: { type: 'string' },
  },
});

interface Job {
  method: string;
  options: MeasureOptions;
}

async function main(): Promise<void> {
  if (flags.run !== undefined) return runOne(JSON.parse(flags.run) as Job);
  mkdirSync(flags.out, { recursive: true });
  const results = join(flags.out, 'results.jsonl');
  const jobs = plan();
  const missing = jobs.filter(({ method, options }) => !found(read(results), method, options));
  await runAll(missing, results);
  const measurements = jobs.flatMap(({ method, options }) => found(read(results), method, options) ?? []);
  console.log(comparisonTable(measurements));
  const page = join(flags.out, 'compare.html');
  await writeFile(page, await renderPage(comparisonReport(measurements)));
  console.log(`\n${page}`);
}

/** All seeds of a method after those of the method before would leave a comparison without pairs: seeds come first. */
function plan(): Job[] {
  const names = flags.methods.split(',');
  const unknown = names.find((name) => !METHODS.some((method) => method.name === name));
  if (unknown !== undefined)
    throw new Error(`no method ${unknown}; known: ${METHODS.map((m) => m.name).join(', ')}`);
  const options = (seed: number): MeasureOptions => ({
    seed,
    budget: Number(flags.budget),
    learningRate: Number(flags['learning-rate']),
    threads: 1,
    model: flags.model,
  });
  const seeds = Array.from({ length: Number(flags.seeds) }, (_, seed) => seed);
  return [
    { method: 'base', options: options(0) },
    ...seeds.flatMap((seed) => names.map((method) => ({ method, options: options(seed) }))),
  ];
}

function read(path: string): Measurement[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.endsWith('}'));
  return lines.map((line) => JSON.parse(line) as Measurement);
}

function found(
  all: readonly Measurement[],
  method: string,
  options: MeasureOptions,
): Measurement | undefined {
  const { seed, budget, learningRate } = options;
  return all.find(
    (one) =>
      one.method === method &&
      one.seed === seed &&
      (method === 'base' || (one.budget === budget && one.learningRate === learningRate)),
  );
}

async function runAll(jobs: readonly Job[], results: string): Promise<void> {
  if (jobs.length === 0) return;
  const bar = new SingleBar({
    format: '{bar} {value}/{total} runs · ETA {eta_formatted} · {last}',
    noTTYOutput: true,
  });
  bar.start(jobs.length, 0, { last: '' });
  const queue = [...jobs];
  const worker = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) {
      const measurement = await inProcess(job);
      await appendFile(results, `${measurement}\n`);
      const { method, seed, accuracy } = JSON.parse(measurement) as Measurement;
      bar.increment(1, { last: `${method}, seed ${seed}: ${accuracy.toFixed(3)}` });
    }
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker));
  bar.stop();
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
  const known = METHODS.find(({ name }) => name === method);
  const measurement = known ? await measure(known, options) : await measureBase(options);
  console.log(JSON.stringify(measurement));
}

void main();
