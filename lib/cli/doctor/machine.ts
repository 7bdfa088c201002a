/** What the machine is and has: Node.js, system, processor, memory, disk, and the model that comes along. */
import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import type { LspError } from '../../errors';
import { BUNDLED_MODEL, openModelSource } from '../../model/formats';
import { defaultMemoryBudget } from '../../model/memory';
import { tokenizerBinding } from '../../model/tokenizer-binding';
import { formatBytes, machineMemory } from '../../run/memory-estimate';
import type { Finding } from './finding';

const NODE_NEEDED = [20, 19] as const;

export function checkNode(version: string = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [neededMajor, neededMinor] = NODE_NEEDED;
  const isNew = major > neededMajor || (major === neededMajor && minor >= neededMinor);
  const facts = { version, needed: NODE_NEEDED.join('.') };
  const finding = { name: 'node', text: version, facts };
  if (isNew) return { ...finding, state: 'ok' };
  return { ...finding, state: 'problem', remedy: `Install Node.js ${facts.needed} or newer.` };
}

export function checkSystem(): Finding {
  const libc = platform() === 'linux' ? libcOf() : null;
  const facts = { platform: platform(), release: release(), arch: arch(), libc };
  const text = `${facts.platform} ${facts.release} on ${facts.arch}${libc === null ? '' : `, ${libc}`}`;
  const isKnown = /^(linux|darwin)$/.test(facts.platform) && /^(x64|arm64)$/.test(facts.arch);
  if (isKnown) return { name: 'system', state: 'ok', text, facts };
  const remedy = 'Supported are Linux and macOS on x64 and arm64; on Windows use WSL.';
  return { name: 'system', state: 'problem', text, remedy, facts };
}

function libcOf(): string {
  // The report would look up names of network peers, which can take long.
  const { report } = process as { report: NodeJS.ProcessReport & { excludeNetwork?: boolean } };
  report.excludeNetwork = true;
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
  if (header?.glibcVersionRuntime) return `glibc ${header.glibcVersionRuntime}`;
  return existsSync('/etc/alpine-release') ? 'musl' : 'a libc other than glibc';
}

/** Instruction sets that the kernels have variants for, as Linux spells them. */
const INSTRUCTION_SETS = ['avx2', 'fma', 'avx512f', 'avx512bw', 'avx512dq', 'avx512vl', 'asimd'];

export function checkProcessor(): Finding {
  const model = cpus()[0]?.model.trim() || 'unknown';
  const instructionSets = instructionSetsOf();
  const facts = { model, cores: cpus().length, usableCores: availableParallelism(), instructionSets };
  const cores = facts.usableCores === 1 ? '1 core' : `${facts.usableCores} cores`;
  const which =
    instructionSets === null ? '' : `; ${instructionSets.join(', ') || 'none of AVX2 and AVX-512'}`;
  return { name: 'processor', state: 'ok', text: `${model}, ${cores}${which}`, facts };
}

function instructionSetsOf(): string[] | null {
  if (platform() !== 'linux') return null;
  const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
  const found = new Set(flags?.trim().split(/\s+/));
  return INSTRUCTION_SETS.filter((name) => found.has(name));
}

/** Weights, frozen reference, gradient and two moments in f32, and the second gradient of tied embeddings. */
const TRAINING_BYTES_PER_PARAMETER = 21;
/** Node.js, tokenizer, scratch space. */
const PROCESS_BYTES = 200 * 2 ** 20;
/** Less would not hold the smallest model and a step of it. */
const LEAST_BYTES = 512 * 2 ** 20;

export function checkMemory(memory = machineMemory(), budget = defaultMemoryBudget()): Finding {
  const { totalBytes, availableBytes } = memory;
  // Activations and key-value cache may each take the budget.
  const room = availableBytes - PROCESS_BYTES - 2 * budget;
  const trainableParameters = Math.max(0, Math.floor(room / TRAINING_BYTES_PER_PARAMETER));
  const limited = totalBytes < totalmem();
  const facts = { totalBytes, availableBytes, limitedByContainer: limited, trainableParameters };
  const whole = `${formatBytes(totalBytes)}${limited ? ' (as the container allows)' : ''}`;
  const text =
    `${formatBytes(availableBytes)} of ${whole} available: ` +
    `enough to train about ${millions(trainableParameters)} million parameters`;
  if (availableBytes < LEAST_BYTES) {
    return { name: 'memory', state: 'problem', text, remedy: 'Close other programs.', facts };
  }
  return { name: 'memory', state: 'ok', text, facts };
}

function millions(count: number): string {
  const value = count / 1e6;
  return value < 1000 ? String(Number(value.toPrecision(2))) : String(Math.round(value / 100) * 100);
}

/** A run of a small model with its checkpoints takes some gigabytes. */
const DISK_WANTED = 5e9;
const DISK_NEEDED = 200e6;

export function checkDisk(): Finding {
  const { bavail, bsize } = statfsSync('.');
  const freeBytes = bavail * bsize;
  const finding = {
    name: 'disk',
    text: `${formatBytes(freeBytes)} free in this directory`,
    facts: { freeBytes },
  };
  if (freeBytes >= DISK_WANTED) return { ...finding, state: 'ok' };
  const remedy =
    'A checkpoint takes 12 bytes a parameter, and a run keeps three: free some space, or use another disk.';
  return { ...finding, state: freeBytes < DISK_NEEDED ? 'problem' : 'note', remedy };
}

/** Tokenizers come as a binary of their own, without which no model can be loaded. */
export function checkTokenizers(): Finding {
  const name = 'tokenizers';
  try {
    tokenizerBinding();
    return { name, state: 'ok', text: 'the tokenizer library loads', facts: { loaded: true } };
  } catch (error) {
    const { message, remedy = '' } = error as LspError;
    const text = message.slice(0, message.length - remedy.length).trimEnd();
    return { name, state: 'problem', text, remedy, facts: { loaded: false } };
  }
}

export function checkBundledModel(): Finding {
  const name = 'model';
  try {
    const { path, config } = openModelSource(BUNDLED_MODEL);
    const { parameterCount, maxPositions } = config;
    const facts = { present: true, path, parameterCount, maxPositions };
    const text = `'${BUNDLED_MODEL}' comes along: ${(parameterCount / 1e6).toPrecision(3)} million parameters`;
    return { name, state: 'ok', text, facts };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const remedy = 'Install lsp again, or give a model of your own with --model.';
    const facts = { present: false, error: reason };
    return { name, state: 'problem', text: `'${BUNDLED_MODEL}' cannot be read: ${reason}`, remedy, facts };
  }
}
