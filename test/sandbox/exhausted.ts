/** Run by a test in a process of its own: programs when there are no more descriptors to be had. */
import { openSync } from 'node:fs';
import { LspError } from '../../lib/errors';
import { Sandbox } from '../../lib/sandbox';

async function main(): Promise<void> {
  const sandbox = await Sandbox.open();
  const codes: string[] = [];
  const tryIt = async (): Promise<void> => {
    try {
      await sandbox.run({ command: ['true'] });
    } catch (error) {
      codes.push(error instanceof LspError ? `${error.code} ${error.remedy ?? ''}` : String(error));
    }
  };
  try {
    for (;;) openSync('/dev/null', 'r');
  } catch {
    await tryIt();
  }
  process.stdout.write(codes.join('\n'));
  process.exit(0);
}

void main();
