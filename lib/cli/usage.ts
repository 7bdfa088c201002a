/**
 * From what stands on a command line to values, and from errors to exit codes.
 *
 * Exit codes: 0 done, 1 it failed, 2 the command was not understood, 130 and 143 stopped by SIGINT and SIGTERM.
 */
import { InvalidArgumentError, type Command, type CommanderError } from 'commander';
import { LspError } from '../errors';
import { describe, nearestName } from '../options';
import { parseBytes } from '../run/memory-estimate';

/** The command was not understood; `error` says what it was about. */
export class UsageError extends Error {
  readonly error: LspError;

  constructor(error: LspError) {
    super(error.message, { cause: error });
    this.error = error;
  }
}

/** The command ends with this code; what there is to say has been said. */
export class Exit extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** A run was stopped by a signal; the exit code says which. */
export class Interrupted extends Exit {}

/** Runs a check of options; what it throws is a usage error, in the words of flags. */
export function checkUsage<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof LspError)) throw error;
    const { code, message, remedy } = error;
    const text = remedy === undefined ? message : message.slice(0, -remedy.length - 1);
    throw new UsageError(
      new LspError(code, inFlags(text), { remedy: remedy && inFlags(remedy), cause: error }),
    );
  }
}

/** `learningRate` in backticks becomes `--learning-rate`. */
function inFlags(text: string): string {
  return text.replace(/`([a-z]+(?:[A-Z][a-z]*)*)`/g, (_, name: string) => `\`${flagOf(name)}\``);
}

export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** A number as people write it; anything else is not understood. */
export function numberFlag(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new InvalidArgumentError('Expected a number.');
  }
  return value;
}

/** A size such as 4GB. */
export function bytesFlag(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === null) throw new InvalidArgumentError('Expected a size such as 4GB.');
  return bytes;
}

/** An error of the command-line parser in the grammar of all errors. */
export function fromCommander(error: CommanderError, command: Command): LspError {
  const text = error.message.replace(/^error: /, '').split('\n')[0]!;
  const quoted = /'(.*?)'/.exec(text)?.[1] ?? '';
  const remedyHelp = `See \`${pathOf(command)} --help\`.`;
  if (error.code === 'commander.unknownOption' || error.code === 'commander.unknownCommand') {
    const isOption = error.code === 'commander.unknownOption';
    const known = isOption
      ? command.options.map(({ long }) => long ?? '')
      : command.commands.map((one) => one.name());
    const meant = nearestName(quoted, known);
    const kind = isOption ? 'option' : 'command';
    return new LspError(
      'UNKNOWN_OPTION',
      `Expected a known ${kind} for \`${pathOf(command)}\` but received ${describe(quoted)}.`,
      { remedy: meant ? `Did you mean ${meant}?` : remedyHelp },
    );
  }
  return new LspError(
    'INVALID_ARGUMENT',
    `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`,
    {
      remedy: remedyHelp,
    },
  );
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}
