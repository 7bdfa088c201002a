/** The `lsp` command: its subcommands, and how errors become messages and exit codes. */
import { Command, CommanderError } from 'commander';
import { LspError } from '../errors';
import { benchCommand } from './bench';
import { chatCommand } from './chat';
import { doctorCommand } from './doctor';
import { evalCommand } from './eval';
import { exportCommand } from './export';
import { generateCommand } from './generate';
import { infoCommand } from './info';
import { Output, type Streams } from './output';
import { reportCommand } from './report';
import { trainCommand } from './train';
import { Exit, fromCommander, UsageError } from './usage';
import { packageVersion } from './versions';

/**
 * Runs the command line.
 *
 * @param argv arguments after the name of the command
 * @returns the exit code
 */
export async function runProgram(argv: readonly string[], streams: Streams = process): Promise<number> {
  const program = new Command('lsp')
    .description('Language Self-Play: language models that improve themselves, on native kernels.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand(false);
  for (const command of [
    trainCommand(streams),
    chatCommand(streams),
    generateCommand(streams),
    evalCommand(streams),
    benchCommand(streams),
    exportCommand(streams),
    infoCommand(streams),
    doctorCommand(streams),
    reportCommand(streams),
  ]) {
    for (const one of withSubcommands(command))
      one.helpOption('--help', 'print this help').helpCommand(false);
    program.addCommand(command);
  }
  for (const command of withSubcommands(program)) {
    command.exitOverride().configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: () => undefined, // errors are printed below, in one form
    });
  }
  const output = new Output({ json: argv.includes('--json'), streams });
  if (argv.length === 0) {
    streams.stderr.write(program.helpInformation());
    return 2;
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    return report(error, output, program, argv);
  } finally {
    output.endProgress();
  }
}

function report(error: unknown, output: Output, program: Command, argv: readonly string[]): number {
  if (error instanceof Exit) return error.exitCode;
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    const command = commandOf(program, argv);
    if (error.code === 'commander.help') {
      // A command that is nothing without one of its own, as `lsp` itself.
      output.note(command.helpInformation().trimEnd());
      return 2;
    }
    return print(fromCommander(error, command), output, 2);
  }
  if (error instanceof UsageError) return print(error.error, output, 2);
  if (error instanceof LspError) return print(error, output, 1);
  const unforeseen = new LspError('INTERNAL', `Expected no error but received: ${String(error)}.`, {
    cause: error,
    remedy: 'This is a bug in lsp. Set LSP_DEBUG=1 to see where it comes from.',
  });
  return print(unforeseen, output, 1);
}

/** A command and all below it. */
function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** The command that the arguments begin with: `lsp eval ifeval`. */
function commandOf(command: Command, [name, ...rest]: readonly string[]): Command {
  const inner = command.commands.find((one) => one.name() === name);
  return inner ? commandOf(inner, rest) : command;
}

function print(error: LspError, output: Output, exitCode: number): number {
  output.endProgress();
  const { code, message, remedy } = error;
  output.value({ error: { code, message, remedy: remedy ?? null } });
  output.note(`lsp: ${message}`);
  if (process.env.LSP_DEBUG) output.note(debugText(error));
  return exitCode;
}

function debugText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = error.stack ?? error.message;
  return error.cause === undefined ? text : `${text}\ncaused by ${debugText(error.cause)}`;
}
