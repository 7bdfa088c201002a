/**
 * The process in which the addon is tried: a binary that does not suit the processor ends this process and not the
 * doctor's. Prints one line of JSON.
 */
import { LspError } from '../../errors';
import { loadAddon } from '../../native/load';
import type { ProbeReport } from './kernels';
import { selfCheck } from './self-check';

async function probe(): Promise<ProbeReport> {
  const isa = loadAddon().isa();
  const file = Object.keys(require.cache).find((name) => name.endsWith('.node')) ?? null;
  return { isa, file, ...(await selfCheck()) };
}

probe().then(
  (report) => process.stdout.write(JSON.stringify(report)),
  (error: unknown) => {
    const remedy = error instanceof LspError ? error.remedy : undefined;
    const text = error instanceof Error ? error.message : String(error);
    const message = remedy === undefined ? text : text.slice(0, -remedy.length - 1);
    process.stdout.write(JSON.stringify({ error: { message, remedy: remedy ?? null } }));
  },
);
