/** Whether the addon loads and computes rightly, and which of its variants: tried in processes of their own. */
import { extname, join } from 'node:path';
import type { NativeIsa } from '../../native/addon';
import type { Finding } from './finding';
import { ask } from './child';
import type { SelfCheck } from './self-check';

/** Loading takes a tenth of a second; a machine may be busy. */
const PROBE_TIMEOUT_MS = 30_000;

export interface ProbeReport extends SelfCheck {
  isa: NativeIsa;
  /** The binary that was loaded. */
  file: string | null;
}

interface ProbeFailure {
  error: { message: string; remedy: string | null };
}

const REBUILD =
  'Build it for this machine: `npm run build` in a clone, `npm rebuild` where lsp is a dependency.';

/** Tries the addon, with one variant of the kernels or with the one it chooses itself. */
async function probe(variant?: string): Promise<ProbeReport | ProbeFailure> {
  const program = join(__dirname, `probe-process${extname(__filename)}`);
  const { stdout, stderr, failure } = await ask(process.execPath, [...process.execArgv, program], {
    timeoutMs: PROBE_TIMEOUT_MS,
    ...(variant !== undefined && { env: { ...process.env, LSP_ISA: variant } }),
  });
  if (failure === null) {
    try {
      return JSON.parse(stdout) as ProbeReport | ProbeFailure;
    } catch {
      // Something else spoke, or nothing did: told below.
    }
  }
  const lastWords = stderr.trim().split('\n').at(-1) ?? '';
  const how = failure ?? 'it printed something else';
  return { error: { message: `The trial failed: ${how}${lastWords && ` (${lastWords})`}.`, remedy: null } };
}

export async function checkKernels(): Promise<Finding> {
  const name = 'kernels';
  const forced = process.env.LSP_ISA || null;
  const report = await probe();
  if ('error' in report) return explainFailure(report, forced);
  const { isa, file, correct, bits } = report;
  const others = isa.bases.filter((variant) => variant !== isa.base);
  const trials = await Promise.all(
    others.map(async (variant) => ({ variant, result: await probe(variant) })),
  );
  const wrong = trials.filter(({ result }) => 'error' in result || !result.correct || result.bits !== bits);
  const facts = {
    loaded: true,
    file,
    ...isa,
    forced,
    correct,
    disagreeing: wrong.map(({ variant }) => variant),
  };
  if (!correct) {
    const text = `${isa.active} computes a matrix product wrongly`;
    return { name, state: 'problem', text, remedy: REBUILD, facts };
  }
  if (wrong.length > 0) {
    const text = `${isa.active} is right, but differs from ${facts.disagreeing.join(', ')}, or that fails`;
    return { name, state: 'problem', text, remedy: REBUILD, facts };
  }
  const agreement = others.length > 0 ? ` and agrees bit for bit with ${others.join(', ')}` : '';
  const inUse = isa.active === isa.base ? isa.active : `${isa.active} (in f32 ${isa.base})`;
  const text = `${inUse} is in use, computes rightly${agreement}`;
  if (forced !== null) {
    const remedy = `LSP_ISA=${forced} is set. Unset it to have the fastest that this processor can.`;
    return { name, state: 'note', text, remedy, facts };
  }
  if (isa.active === 'portable') {
    const remedy = 'The fast kernels need AVX2 or AVX-512; these are several times slower.';
    return { name, state: 'note', text, remedy, facts };
  }
  return { name, state: 'ok', text, facts };
}

/** Whether the portable variant would do where the chosen one fails. */
async function explainFailure({ error }: ProbeFailure, forced: string | null): Promise<Finding> {
  const facts = { loaded: false, forced, error: error.message };
  const finding = { name: 'kernels', state: 'problem' as const, text: error.message, facts };
  if (forced !== null && !('error' in (await probe('')))) {
    return { ...finding, remedy: `It is LSP_ISA=${forced} that does not work here: unset it.` };
  }
  const portable = await probe('portable');
  if (!('error' in portable) && portable.correct) {
    return { ...finding, remedy: `Set LSP_ISA=portable, which works here and is slower. ${REBUILD}` };
  }
  return { ...finding, remedy: error.remedy ?? REBUILD };
}
