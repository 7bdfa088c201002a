/** What else may be there: tools to build the addon, and a graphics card. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LspError } from '../../errors';
import { Sandbox } from '../../sandbox';
import { oneLine } from '../output';
import { ask } from './child';
import type { Finding } from './finding';

const TOOL_TIMEOUT_MS = 10_000;
const CMAKE_NEEDED = [3, 22] as const;

/** Needs a C++20 compiler and its library. */
const CPP20 = '#include <concepts>\n#include <span>\nstatic_assert(std::integral<int>);\n';

const INSTALL =
  'Only needed to build from source: CMake 3.22 or newer, ninja or make, and a C++20 compiler (g++ 12, clang 14 or newer).';

/** @param isNeeded whether the addon does not work as it is */
export async function checkToolchain(isNeeded: boolean): Promise<Finding> {
  const [cmake, compiler, builder] = await Promise.all([cmakeVersion(), cpp20Compiler(), buildTool()]);
  const facts = { cmake, compiler, builder };
  const isCmakeNew = cmake !== null && isAtLeast(cmake, CMAKE_NEEDED);
  const missing = [
    ...(isCmakeNew ? [] : [cmake === null ? 'CMake' : `a newer CMake than ${cmake}`]),
    ...(compiler === null ? ['a C++20 compiler'] : []),
    ...(builder === null ? ['ninja or make'] : []),
  ];
  const name = 'toolchain';
  if (missing.length === 0) {
    return { name, state: 'ok', text: `CMake ${cmake}, ${compiler}, ${builder}`, facts };
  }
  const text = `missing: ${missing.join(', ')}`;
  return { name, state: isNeeded ? 'problem' : 'note', text, remedy: INSTALL, facts };
}

async function firstLine(program: string, ...args: string[]): Promise<string | null> {
  const { ok, stdout } = await ask(program, args, { timeoutMs: TOOL_TIMEOUT_MS });
  return ok ? oneLine(stdout.split('\n')[0]!, 80) : null;
}

async function cmakeVersion(): Promise<string | null> {
  const line = await firstLine('cmake', '--version');
  return (line && /(\d+\.\d+(?:\.\d+)?)/.exec(line)?.[1]) ?? null;
}

export function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [givenMajor = 0, givenMinor = 0] = version.split('.').map(Number);
  return givenMajor > major || (givenMajor === major && givenMinor >= minor);
}

/** The first compiler that takes C++20, in its own words. */
async function cpp20Compiler(): Promise<string | null> {
  const commands = [process.env.CXX?.trim() ?? '', 'c++', 'g++', 'clang++'].filter(
    (command) => command !== '',
  );
  for (const command of new Set(commands)) {
    const [program, ...own] = command.split(/\s+/);
    const args = [...own, '-std=c++20', '-fsyntax-only', '-x', 'c++', '-'];
    const { ok } = await ask(program!, args, { timeoutMs: TOOL_TIMEOUT_MS, stdin: CPP20 });
    if (ok) return (await firstLine(program!, '--version')) ?? command;
  }
  return null;
}

async function buildTool(): Promise<string | null> {
  if ((await firstLine('ninja', '--version')) !== null) return 'ninja';
  return (await firstLine('make', '--version')) === null ? null : 'make';
}

const DRIVER = '/proc/driver/nvidia';

/** @param driver where the kernel module tells of itself */
export async function checkGraphics(driver = DRIVER): Promise<Finding> {
  const cards = driverCards(driver) ?? (await listedCards());
  const facts = { cards, used: false };
  const plainly = 'this version computes on the processor only';
  if (cards.length === 0) return { name: 'graphics', state: 'ok', text: `not needed: ${plainly}`, facts };
  return { name: 'graphics', state: 'note', text: `${cards.join(', ')} is not used: ${plainly}`, facts };
}

/** Names of NVIDIA cards by the kernel module; null if it does not say. */
function driverCards(driver: string): string[] | null {
  const directory = join(driver, 'gpus');
  if (!existsSync(directory)) return existsSync(join(driver, 'version')) ? ['an NVIDIA card'] : null;
  return readdirSync(directory).map((id) => {
    const text = readFileSync(join(directory, id, 'information'), 'utf8');
    return oneLine(/^Model:\s*(.+)$/m.exec(text)?.[1] ?? 'an NVIDIA card', 80);
  });
}

async function listedCards(): Promise<string[]> {
  const { ok, stdout } = await ask('nvidia-smi', ['-L'], { timeoutMs: 3000 });
  if (!ok) return [];
  return Array.from(stdout.matchAll(/^GPU \d+: (.+?)(?: \(UUID.*)?$/gm), (match) => oneLine(match[1]!, 80));
}

/** Whether code that a model wrote can be run: HumanEval, rewards for code and the coding game need it. */
export async function checkSandbox(): Promise<Finding> {
  const name = 'sandbox';
  try {
    const { description, checks } = await Sandbox.open({ signal: AbortSignal.timeout(TOOL_TIMEOUT_MS) });
    return { name, state: 'ok', text: description, facts: { available: true, checks } };
  } catch (error) {
    if (!(error instanceof LspError)) throw error;
    const { message, remedy = '' } = error;
    const text = message.endsWith(remedy) ? message.slice(0, message.length - remedy.length).trim() : message;
    return { name, state: 'note', text, remedy, facts: { available: false, code: error.code } };
  }
}
