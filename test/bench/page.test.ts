/** The pages of measurements. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { type KernelBench, type ModelBench, SMOLLM2_135M, W1 } from '../../lib/bench';
import { kernelReport, modelReport } from '../../lib/bench/page';
import { renderPage } from '../../lib/report/page';
import { describeWithBrowser, launchBrowser, openPage } from '../report/browser';
import { dataIn, remove, temporaryDirectory } from '../report/support';

const peaks = {
  gflops: { f32: 200, bf16: 400, int8: 800 },
  gigabytesPerSecond: 20,
  copyGigabytesPerSecond: 15,
};
const machine = { processor: 'A <b>processor</b>', isa: 'avx2', threads: 2, geometry: SMOLLM2_135M, peaks };

const kernel = (op: string, name: string, share: number) =>
  ({
    op,
    name,
    arithmetic: 'f32',
    seconds: 1e-4,
    gflops: 200 * share,
    gigabytesPerSecond: 1,
    bound: 'compute',
    share,
  }) as const;

const KERNELS: KernelBench = {
  ...machine,
  peaksBefore: peaks,
  peaksAfter: peaks,
  kernels: [
    kernel('linear', 'forward qkv T=1 K=576 N=960', 0.25),
    kernel('linear', 'forward qkv T=512 K=576 N=960', 0.75),
    kernel('linear', 'forward down T=512 K=1536 N=576', 0.5),
    kernel('linear', 'backward weight qkv T=512 K=576 N=576', 0.5),
    kernel('grad_norm', 'sum of squares count=28311552', 0.9),
    kernel('sampling', 'top-k 50 T=1 V=49152', 0.1),
    kernel('sampling', 'top-k 50 T=8 V=49152', 0.2),
  ],
};

const phase = (name: string, share: number) =>
  ({
    phase: name,
    seconds: 2,
    tokens: 512,
    tokensPerSecond: 256,
    operations: 1e9,
    gflops: 0.5,
    bound: 'compute',
    share,
  }) as const;

const MODEL: ModelBench = {
  ...machine,
  mode: 'exact',
  model: 'model.gguf',
  workload: W1,
  phases: [phase('prefill', 0.6), phase('decode 32', 0.5), phase('step', 0.745)],
  profile: [
    {
      phase: 'update',
      kernel: 'linear forward',
      seconds: 3,
      share: 0.75,
      calls: 7,
      gflops: 300,
      gigabytesPerSecond: 2,
    },
    { phase: 'update', kernel: 'rest', seconds: 1, share: 0.25, calls: 0, gflops: 0, gigabytesPerSecond: 0 },
  ],
  steps: [
    {
      step: 1,
      rolloutSeconds: 1,
      rolloutTokensPerSecond: 2,
      referenceSeconds: 3,
      updateSeconds: 4,
      optimizerSeconds: 1,
      totalSeconds: 8,
    },
  ],
};

test('a chart a pass, along the number of tokens; a table an operation', async () => {
  const report = kernelReport(KERNELS, 'model.gguf');
  expect(report.headline).toBe('Matrix products reach up to 75 % of 200 GFLOP/s');
  const page = await renderPage(report);
  const { charts } = dataIn(page) as { charts: Record<string, { along: object; series: unknown[] }> };
  // One position of the backward pass, and no number of tokens in grad_norm, make no chart.
  expect(Object.keys(charts)).toEqual(['share-of-linear-forward', 'share-of-sampling']);
  expect(charts['share-of-linear-forward']).toMatchObject({
    along: { positions: [1, 512], logarithmic: true },
    series: [
      { name: 'qkv', values: [0.25, 0.75] },
      { name: 'down', values: [null, 0.5] },
    ],
  });
  expect(charts['share-of-sampling']!.series).toEqual([{ name: 'top-k 50', values: [0.1, 0.2] }]);
  expect(page).toContain('sum of squares count=28311552');
  expect(page).not.toContain('<b>processor</b>');
});

test('the phases of a model', async () => {
  const report = modelReport(MODEL);
  expect(report.headline).toBe('A step of training takes 2.00 s, 75 % of the limit');
  const page = await renderPage(report);
  expect(page).toContain('8 queries × 4 answers, 64 tokens of prompt');
  expect(page).toContain('Where the time of update goes');
  const { charts } = dataIn(page) as { charts: Record<string, object> };
  expect(charts['profile-of-phases']).toMatchObject({
    along: { positions: ['linear forward', 'rest'] },
    series: [{ name: 'update', values: [0.75, 0.25] }],
  });
});

describeWithBrowser('in a browser', () => {
  let browser: Browser;
  let root: string;
  beforeAll(async () => {
    browser = await launchBrowser();
    root = await temporaryDirectory();
  });
  afterAll(async () => {
    await browser.close();
    await remove(root);
  });

  test('nothing complains, and equal factors are equally far apart', async () => {
    const file = join(root, 'bench.html');
    const pictures = async (bench: KernelBench, logarithmic: boolean) => {
      const text = await renderPage(kernelReport(bench, 'model.gguf'));
      await writeFile(
        file,
        logarithmic ? text : text.replaceAll('"logarithmic":true', '"logarithmic":false'),
      );
      const { page, complaints, requests, url, close } = await openPage(browser, file);
      const picture: number = await page.evaluate('checks.picture("chart-share-of-linear-forward")');
      expect(complaints).toEqual([]);
      expect(requests).toEqual([url]);
      await close();
      return picture;
    };
    // In the middle of a logarithmic axis from 1 to 512 lies 22.6, of a linear one 256.5: the pictures differ.
    const three: KernelBench = {
      ...KERNELS,
      kernels: [...KERNELS.kernels, kernel('linear', 'forward qkv T=32 K=576 N=960', 0.1)],
    };
    expect(await pictures(three, true)).not.toBe(await pictures(three, false));
  });
});
