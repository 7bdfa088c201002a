/** The real model gives the same bits with other threads, budgets and instruction sets, each in its own process. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { LanguageModel, type LoadOptions } from '../../lib';
import { loadAddon } from '../../lib/native/load';
import { describeWithModel, realModel } from '../support/fixtures';
import { fingerprints, type WorkloadSize } from './workload';

const ROOT = join(__dirname, '../..');
/** A quiet machine needs a tenth of it; beyond, the variant is taken to hang. */
const VARIANT_TIMEOUT_MS = 300_000;
jest.setTimeout(VARIANT_TIMEOUT_MS + 10_000);

const { bases, base } = loadAddon().isa();
const KNOWN = process.arch === 'x64' ? ['avx512', 'avx2'] : ['neon'];

function testWith(isa: string): jest.It {
  if (bases.includes(isa)) return test;
  process.stderr.write(`This processor or build has no ${isa}: its bits are not compared.\n`);
  return test.skip;
}

/** What `variant.ts` prints under another instruction set and other load options. */
async function inProcess(isa: string, size: WorkloadSize, options: LoadOptions): Promise<unknown> {
  const register = require.resolve('ts-node/register/transpile-only');
  const script = join(__dirname, 'variant.ts');
  const child = spawn(process.execPath, ['-r', register, script, realModel!, size, JSON.stringify(options)], {
    cwd: ROOT,
    env: { ...process.env, LSP_ISA: isa },
    timeout: VARIANT_TIMEOUT_MS,
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
  const ending = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, errors }));
  });
  expect(ending).toEqual({ status: 0, signal: null, errors: '' });
  return JSON.parse(output);
}

describeWithModel('the same bits', () => {
  let small: Record<string, unknown>;
  let whole: Record<string, unknown>;

  beforeAll(async () => {
    await using model = await LanguageModel.load(realModel!, { threads: 2 });
    small = await fingerprints(model, 'small');
    whole = await fingerprints(model, 'whole');
  });

  test('from one thread and a budget of two sequences', async () => {
    // 45 KiB of keys and values a token: two of the longest sequences are decoded at a time, and a training
    // micro-batch is one sequence.
    const found = await inProcess(base, 'whole', { threads: 1, memoryBudget: 15 * 2 ** 20 });
    expect(found).toEqual(whole);
  });

  for (const isa of KNOWN.filter((name) => name !== base)) {
    testWith(isa)(`from ${isa}, three threads`, async () => {
      expect(await inProcess(isa, 'whole', { threads: 3 })).toEqual(whole);
    });
  }

  testWith('portable')('from plain C++, without SIMD', async () => {
    expect(await inProcess('portable', 'small', { threads: 2 })).toEqual(small);
  });
});
