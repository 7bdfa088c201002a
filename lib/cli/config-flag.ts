/** `--config <file>`: flags that come from a file, beside those of the command line. */
import { LspError } from '../errors';
import { readConfigFile } from '../run/config-file';
import { UsageError } from './usage';

/**
 * The flags, and under them what the file says that `--config` names; the flag itself is gone from the result.
 *
 * @throws UsageError beside `--resume`, LspError if the file is not sound
 */
export function withConfigFile(flags: Record<string, unknown>): Record<string, unknown> {
  const { config, ...said } = flags;
  if (typeof config !== 'string') return said;
  if (said.resume === undefined) return { ...readConfigFile(config), ...said };
  throw new UsageError(
    new LspError('INVALID_ARGUMENT', 'Expected no `--config` beside `--resume` but received both.', {
      remedy: 'A resumed run keeps its options; what may change, such as --steps, is given as a flag.',
    }),
  );
}
