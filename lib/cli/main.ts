#!/usr/bin/env node
/** Entry of the `lsp` command. */
import { runProgram } from './program';

/** Time that open handles get to close by themselves after the command is done. */
const GRACE_MS = 2000;

// Whoever reads our output may leave early (`lsp generate … | head`): no reason for a stack trace, and none to end a
// training, whose results are on the disk. A terminal that was closed answers EIO.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  if (process.argv[2] !== 'train') process.exit(0);
});
process.stderr.on('error', () => undefined);

void runProgram(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
  // Leaving through the event loop flushes pipes; a handle somebody forgot must not keep the process for ever.
  setTimeout(() => process.exit(code), GRACE_MS).unref();
});
