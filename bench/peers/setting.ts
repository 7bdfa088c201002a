/** Who takes part in a sitting, and what starts them. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { BenchMode, Workload } from '../../lib';
import { OURS } from './comparison';
import { llamaBinaries } from './llama';
import { Worker, type WorkerProgram } from './worker';

export interface Setting {
  /** What ours loads. */
  model: string;
  threads: number;
  modes: readonly BenchMode[];
  /** Rounds of everything but steps. */
  repeats: number;
  quick: boolean;
  /** Without what is missing. */
  peers: Peers;
  signal: AbortSignal;
  /** Says what is being measured. */
  progress: (what: string) => void;
  /** Says what could not be measured, and why. */
  missing: (what: string, why: string) => void;
}

export interface Peers {
  /** A Python with PyTorch and the others; and the model as they load it. */
  python?: { command: string; model: string };
  /** Folder of llama.cpp's binaries, and files of the model by the names of their types. */
  llama?: { bin: string; models: Readonly<Record<string, string>> };
  /** Versions, for the record. */
  versions: Readonly<Record<string, string>>;
}

export const PYTHON_PACKAGES = ['torch', 'numpy', 'transformers', 'datasets', 'trl'] as const;
const LLAMA_TYPES = ['f32', 'q8_0'];

/** Programs of the other languages. */
const PYTHON_FOLDER = join(__dirname, 'python');

const asFinder = (folder: string) => ({
  python: join(folder, 'venv', 'bin', 'python'),
  llama: join(folder, 'llama.cpp'),
  models: join(folder, 'models'),
});

export interface PeerPaths {
  /** What setup.sh made. */
  peers: string;
  /** Others than in there. */
  python?: string;
  llamaCpp?: string;
}

/** Finds the peers. What is missing is told with the way to get it, and left out. */
export async function findPeers(
  paths: PeerPaths,
  source: string,
  missing: Setting['missing'],
): Promise<Peers> {
  const folder = resolve(paths.peers);
  const found = asFinder(folder);
  const remedy = `bench/peers/setup.sh ${paths.peers} ${source}`;
  const versions: Record<string, string> = {};
  const peers: Peers = { versions };

  const python = paths.python ?? found.python;
  const hf = join(found.models, 'hf');
  if (!existsSync(python)) missing('PyTorch, TRL, MKL, oneDNN, OpenBLAS', `no ${python}; run ${remedy}`);
  else if (!existsSync(hf)) missing('PyTorch, TRL', `no ${hf}; run ${remedy}`);
  else {
    for (const name of PYTHON_PACKAGES) {
      const version = await packageVersion(python, name);
      if (version) versions[name] = version;
      else missing(name, `${python} has none; run ${remedy}`);
    }
    peers.python = { command: python, model: hf };
  }

  const bin = llamaBinaries(paths.llamaCpp ?? found.llama);
  const models = Object.fromEntries(
    LLAMA_TYPES.map((type) => [type, join(found.models, `${type}.gguf`)] as const).filter(([type, path]) => {
      if (existsSync(path)) return true;
      missing(`llama.cpp ${type}`, `no ${path}; run ${remedy}`);
      return false;
    }),
  );
  if (bin) peers.llama = { bin, models };
  else missing('llama.cpp', `no llama-batched-bench below ${paths.llamaCpp ?? found.llama}; run ${remedy}`);
  return peers;
}

async function packageVersion(python: string, name: string): Promise<string | undefined> {
  const program = `import importlib.metadata as m; print(m.version("${name}"))`;
  return promisify(execFile)(python, ['-c', program]).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}

export const ourName = (mode: BenchMode): string => `${OURS}, ${mode}`;

export function ourProgram(setting: Setting, mode: BenchMode): WorkerProgram {
  const script = join(__dirname, 'ours.ts');
  const register = require.resolve('ts-node/register/transpile-only');
  return {
    name: ourName(mode),
    command: process.execPath,
    args: ['-r', register, script, mode, String(setting.threads), setting.model],
  };
}

/** Threads of every library that a Python program may compute with. */
function pythonProgram(
  { peers, threads }: Setting,
  name: string,
  script: string,
  args: readonly (string | number)[],
  env?: Record<string, string>,
): WorkerProgram {
  const count = String(threads);
  const limits = Object.fromEntries(
    ['OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS'].map((variable) => [variable, count]),
  );
  return {
    name,
    command: peers.python!.command,
    args: ['-W', 'ignore', join(PYTHON_FOLDER, script), ...args.map(String)],
    env: { ...limits, HF_HUB_OFFLINE: '1', TRANSFORMERS_VERBOSITY: 'error', ...env },
  };
}

/** What multiplies matrices: name, library of products.py, package that it takes. */
export const LIBRARIES = [
  { name: 'PyTorch (MKL)', library: 'mkl', needs: 'torch' },
  { name: 'oneDNN', library: 'onednn', needs: 'torch' },
  { name: 'OpenBLAS', library: 'openblas', needs: 'numpy' },
] as const;

export function productProgram(
  setting: Setting,
  { name, library }: (typeof LIBRARIES)[number],
): WorkerProgram {
  // Memory of a large result is kept instead of being given back and taken again at each call.
  const keep = { MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: String(2 ** 35) };
  return pythonProgram(setting, name, 'products.py', [library, setting.threads], keep);
}

/** What takes whole steps: name, script, packages that it takes. */
export const TRAINERS = [
  { name: 'PyTorch', script: 'torch_steps.py', needs: ['torch', 'transformers'] },
  { name: 'TRL', script: 'trl_steps.py', needs: ['torch', 'transformers', 'datasets', 'trl'] },
] as const;

export function trainerProgram(
  setting: Setting,
  { name, script }: (typeof TRAINERS)[number],
  { queries, answers, promptTokens, newTokens }: Workload,
): WorkerProgram {
  const sizes = [queries, answers, promptTokens, newTokens];
  return pythonProgram(setting, name, script, [setting.peers.python!.model, setting.threads, ...sizes]);
}

/** Does something with each program that starts and goes on; tells of one that does not, and goes on without it. */
export async function startAll(
  setting: Setting,
  programs: readonly WorkerProgram[],
): Promise<Map<string, Worker>> {
  const workers = new Map<string, Worker>();
  for (const program of programs) {
    setting.progress(`starting ${program.name}`);
    await attempt(setting, program.name, async () => {
      workers.set(program.name, await Worker.start(program, setting.signal));
    });
  }
  return workers;
}

/** False when it failed, which has been told. @throws the signal's reason when aborted */
export async function attempt(setting: Setting, what: string, run: () => Promise<void>): Promise<boolean> {
  try {
    await run();
    return true;
  } catch (error) {
    setting.signal.throwIfAborted();
    setting.missing(what, error instanceof Error ? error.message : String(error));
    return false;
  }
}
