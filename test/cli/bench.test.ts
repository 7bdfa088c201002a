/** `lsp bench` from outside: what it prints, what it refuses, and that it stops when told to. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  benchKernels,
  benchOps,
  type KernelBench,
  kernelTimes,
  type ModelBench,
  openTraining,
} from '../../lib';
import { bodyWeights, workloadWork } from '../../lib/bench/operations';
import { writeTinyModel } from '../support/tiny-model';
import { launch, lsp, values } from './support';

let root: string;
let model: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'lsp-bench-'));
  model = writeTinyModel(join(root, 'model'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const quick = ['bench', '--seconds-per-case', '0', '--threads', '1'];

describe('kernels', () => {
  test('--json has the machine, and every case of every kernel with a finite share', async () => {
    const sizes = ['--rows', '1', '128', '--products', '128x32x32'];
    const { code, stdout, stderr } = await lsp([...quick, '--model', model, ...sizes, '--json']);
    expect(stderr).toMatch(/^measuring the machine\nmeasuring adamw\n/);
    expect(code).toBe(0);
    const [result] = values(stdout) as unknown as (KernelBench & { kind: string })[];
    expect(result).toMatchObject({ kind: 'kernels', threads: 1, model, geometry: { hiddenSize: 32 } });
    const { peaks, peaksBefore, peaksAfter, kernels } = result!;
    expect(peaks.gflops.f32).toBe(Math.max(peaksBefore.gflops.f32, peaksAfter.gflops.f32));
    expect(peaks.gigabytesPerSecond).toBeGreaterThan(0);
    expect([...new Set(kernels.map(({ op }) => op))]).toEqual(benchOps());
    for (const one of kernels) {
      const compute = one.gflops / peaks.gflops[one.arithmetic];
      const memory = one.gigabytesPerSecond / peaks.gigabytesPerSecond;
      expect(one.bound).toBe(compute > memory ? 'compute' : 'memory');
      expect(one.share).toBeGreaterThan(0);
      // Two divisions in another order: a few roundings of doubles.
      expect(one.share / Math.max(compute, memory)).toBeCloseTo(1, 9);
    }
    const linear = kernels.filter(({ op }) => op === 'linear').map(({ name }) => name);
    expect(linear.some((name) => name.startsWith('forward') && name.includes('T=1 '))).toBe(true);
    expect(linear.some((name) => name.startsWith('backward weight') && name.includes('T=128 '))).toBe(true);
    expect(linear.some((name) => name.startsWith('backward') && name.includes('T=1 '))).toBe(false);
  });

  test('people get a table of the kernels they named, and a page', async () => {
    const page = join(root, 'bench.html');
    const chosen = ['--ops', 'rmsnorm', 'rope', '--rows', '1', '8', '--model', model, '--out', page];
    const { code, stdout } = await lsp([...quick, ...chosen]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/multiply-adds +\d+ GFLOP\/s in f32/);
    const ops = stdout.match(/^(\w+) +(?:forward|backward) /gm)?.map((line) => line.split(' ')[0]);
    expect(ops).toEqual(['rmsnorm', 'rmsnorm', 'rope', 'rope']);
    expect(readFileSync(page, 'utf8')).toContain('Cases of rmsnorm');
  });

  test('products of any sizes', async () => {
    const chosen = ['--ops', 'product', '--products', '3x5x7', '128x32x40', '--json'];
    const { code, stdout } = await lsp([...quick, ...chosen]);
    expect(code).toBe(0);
    const [{ kernels }] = values(stdout) as unknown as [KernelBench];
    expect(kernels.map(({ name }) => name)).toEqual([
      'forward T=3 K=5 N=7',
      'forward T=128 K=32 N=40',
      'backward input T=128 K=32 N=40',
      'backward weight T=128 K=32 N=40',
    ]);
    for (const { name, gflops, seconds } of kernels) {
      const [t, k, n] = [...name.matchAll(/\d+/g)].map(Number);
      expect((gflops * seconds * 1e9) / (2 * t! * k! * n!)).toBeCloseTo(1, 9);
    }
  });

  test.each([
    [['--ops', 'linaer'], "Did you mean 'linear'?"],
    [['--rows', '0'], 'for `--rows` but received 0'],
    [['--products', '32x576'], 'Expected three sizes'],
    [['--products', '32x0x1'], 'for `--products` but received 0'],
    [['--end-to-end', '--model', 'tiny', '--products', '1x1x1'], 'Expected no `--products` beside'],
    [['--rows', '65537'], 'at most 65536 for `--rows`'],
    [['--threads', '257'], 'for `--threads` but received 257'],
    [['--seconds-per-case', '-1'], 'for `--seconds-per-case` but received -1'],
    [['--steps', '2'], 'Expected no `--steps` without `--end-to-end`'],
    [['--end-to-end'], 'Expected a `--model` with `--end-to-end`'],
    [['--end-to-end', '--model', 'tiny', '--ops', 'linear'], 'Expected no `--ops` beside `--end-to-end`'],
    [['--end-to-end', '--model', 'tiny', '--queries', '0'], 'for `--queries` but received 0'],
    [['--end-to-end', '--model', 'tiny', '--mode', 'exakt'], "Did you mean 'exact'?"],
    [['--end-to-end', '--model', 'tiny', '--new-tokens', '100000'], "the model's context"],
    [['--kernels', 'linear'], 'Expected a known option'],
  ])('refuses %j', async (flags, message) => {
    const { code, stdout, stderr } = await lsp(['bench', ...flags]);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(message);
  });

  test('an aborted measurement rejects with the reason', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const running = benchKernels({
      ops: ['rmsnorm', 'linear'],
      threads: 1,
      secondsPerCase: 0,
      signal: controller.signal,
      onResult: () => controller.abort(reason),
    });
    await expect(running).rejects.toBe(reason);
    await expect(benchKernels({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(benchKernels({ opps: [] } as object)).rejects.toMatchObject({ code: 'UNKNOWN_OPTION' });
    // What a callback throws ends it too.
    const throwing = benchKernels({
      ops: ['rmsnorm'],
      secondsPerCase: 0,
      threads: 1,
      onResult: () => {
        throw reason;
      },
    });
    await expect(throwing).rejects.toMatchObject({ cause: reason });
  });

  test('Ctrl-C ends it within a case', async () => {
    const running = launch(['bench', '--seconds-per-case', '60', '--ops', 'swiglu', '--rows', '8']);
    await running.seen('measuring the machine');
    const asked = Date.now();
    running.child.kill('SIGINT');
    const { code } = await running.finished;
    expect(code).toBe(130);
    expect(Date.now() - asked).toBeLessThan(20_000);
  });
});

describe('end to end', () => {
  test('phases of a step with tokens a second and a share of the limit', async () => {
    const page = join(root, 'model.html');
    const sizes = ['--queries', '2', '--answers', '2', '--prompt-tokens', '8', '--new-tokens', '8'];
    const common = ['bench', '--end-to-end', '--model', model, '--threads', '1', '--steps', '2', ...sizes];
    const { code, stdout, stderr } = await lsp([...common, '--json', '--out', page]);
    expect(stderr).toMatch(/^measuring the machine\nmeasuring prefill\n/);
    expect(code).toBe(0);
    const [result] = values(stdout) as unknown as (ModelBench & { kind: string })[];
    expect(result).toMatchObject({
      kind: 'model',
      mode: 'exact',
      workload: { queries: 2, answers: 2, promptTokens: 8, newTokens: 8 },
    });
    const names = ['prefill', 'decode 1', 'decode 8', 'decode 32', 'rollout', 'reference', 'update', 'step'];
    expect(result!.phases.map(({ phase }) => phase)).toEqual(names);
    for (const { seconds, tokensPerSecond, operations, share } of result!.phases) {
      expect(Math.min(seconds, tokensPerSecond, operations, share)).toBeGreaterThan(0);
      expect(share).toBeLessThan(Infinity);
    }
    expect(result!.steps.map(({ step }) => step)).toEqual([1, 2]);
    expect(existsSync(page)).toBe(true);

    // The kernels did what the operation count says, and what they did not take is the rest.
    const { geometry, workload, profile } = result!;
    const of = (phase: string) => profile.filter((one) => one.phase === phase);
    const products = of('reference').find(({ kernel }) => kernel === 'linear forward')!;
    const expected = (2 * bodyWeights(geometry) * workloadWork(workload).tokens) / 1e9;
    expect((products.gflops * products.seconds) / expected).toBeCloseTo(1, 9);
    for (const phase of ['rollout', 'reference', 'update']) {
      const entries = of(phase);
      expect(entries.at(-1)).toMatchObject({ kernel: 'rest', calls: 0 });
      expect(entries.at(-1)!.seconds).toBeGreaterThan(0);
      expect(entries.filter(({ kernel, calls }) => kernel !== 'rest' && calls < 1)).toEqual([]);
    }
    expect(of('update').map(({ kernel }) => kernel)).toEqual(
      expect.arrayContaining(['linear backward weight', 'attention backward', 'logprob backward', 'adamw']),
    );
    expect(of('rollout').map(({ kernel }) => kernel)).not.toContain('adamw');
  });

  test('timed kernels compute the same bits', async () => {
    const measure = async (profile: boolean) => {
      await using training = await openTraining(model, { threads: 1, profile });
      const before = kernelTimes();
      const logprobs = await training.model.logprobs([Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8)]);
      return { logprobs, counts: JSON.stringify(kernelTimes()) !== JSON.stringify(before) };
    };
    const [plain, timed] = [await measure(false), await measure(true)];
    expect([plain.counts, timed.counts]).toEqual([false, true]);
    expect(timed.logprobs).toEqual(plain.logprobs);
  });
});
