/**
 * `lsp doctor`: what this machine has, which kernels it will use, and what is missing.
 *
 * It is for the days on which nothing else works, so no check may end it: the addon is tried in a process of its own,
 * programs that are asked have a time limit, and a check that fails is itself a finding.
 */
import { Command } from 'commander';
import { type Finding, examine } from './doctor/finding';
import { checkKernels } from './doctor/kernels';
import {
  checkBundledModel,
  checkDisk,
  checkMemory,
  checkNode,
  checkProcessor,
  checkSystem,
  checkTokenizers,
} from './doctor/machine';
import { checkGraphics, checkSandbox, checkToolchain } from './doctor/tools';
import { oneLine, Output, type Streams } from './output';
import { Exit } from './usage';
import { packageVersion } from './versions';

export function doctorCommand(streams: Streams): Command {
  return new Command('doctor')
    .description('Tell what this machine has, which kernels it will use, and what is missing.')
    .option('--json', 'machine-readable output: one object with all facts')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lsp doctor\n  $ lsp doctor --json | jq .findings' +
        '\n\nok: as it should be. note: good to know, nothing fails for it. problem: to be mended; the exit code is 1.',
    )
    .action(async (flags: { json?: boolean }) => {
      const output = new Output({ json: flags.json ?? false, streams });
      const findings = await findAll();
      show(findings, output);
      if (findings.some(({ state }) => state === 'problem')) throw new Exit(1);
    });
}

async function findAll(): Promise<Finding[]> {
  const kernels = examine('kernels', checkKernels);
  return Promise.all([
    examine('node', () => checkNode()),
    examine('system', checkSystem),
    examine('processor', checkProcessor),
    kernels,
    examine('memory', () => checkMemory()),
    examine('disk', checkDisk),
    examine('tokenizers', checkTokenizers),
    examine('model', checkBundledModel),
    examine('graphics', () => checkGraphics()),
    examine('sandbox', checkSandbox),
    examine('toolchain', async () => checkToolchain((await kernels).state === 'problem')),
  ]);
}

function show(findings: readonly Finding[], output: Output): void {
  const problems = findings.filter(({ state }) => state === 'problem').length;
  output.value({ lsp: packageVersion(), ok: problems === 0, findings });
  if (output.json) return;
  output.line(output.bold(`lsp ${packageVersion()} on this machine`));
  for (const { name, state, text, remedy } of findings) {
    const mark = state.padEnd(9);
    output.line(`  ${state === 'problem' ? output.bold(mark) : mark}${name.padEnd(12)}${oneLine(text, 400)}`);
    for (const line of remedy?.split('\n') ?? []) output.line(output.dim(`${' '.repeat(23)}${line}`));
  }
  output.line();
  output.line(problems === 0 ? 'No problems.' : `${problems} ${problems === 1 ? 'problem' : 'problems'}.`);
}
