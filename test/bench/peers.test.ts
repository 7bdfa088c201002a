/** bench/peers: what it reads, what it concludes, what it shows, and that it goes on without a peer. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderPage } from '../../lib/report/page';
import { SMOLLM2_135M, W1, workloadOperations } from '../../lib/bench';
import { type Comparison, ratiosOf, Rounds, spreadOf } from '../../bench/peers/comparison';
import { type GrowthPoint, workloadAt } from '../../bench/peers/growth';
import { llamaBinaries, parseBatchedBench, parseLlamaBench } from '../../bench/peers/llama';
import { sittingReport } from '../../bench/peers/page';
import { findPeers } from '../../bench/peers/setting';
import { type Sitting, stepLimits, summaryOf } from '../../bench/peers/sitting';
import { productName, productsOf, workloadOf } from '../../bench/peers/suites';
import { sittingText, spreadText } from '../../bench/peers/text';
import { Worker } from '../../bench/peers/worker';
import { dataIn } from '../report/support';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'lsp-peers-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('spread', () => {
  test.each([
    [[3], { median: 3, low: 3, high: 3, rounds: 1 }],
    [[4, 1, 10], { median: 4, low: 1, high: 10, rounds: 3 }],
    [[4, 1, 10, 2], { median: 3, low: 1, high: 10, rounds: 4 }],
  ])('of %j', (values, spread) => expect(spreadOf(values)).toEqual(spread));

  test('of nothing there is none', () => expect(() => spreadOf([])).toThrow(RangeError));

  test('is written with three digits, and left out where there is but one figure', () => {
    expect(spreadText(spreadOf([1234.5, 0.12345, 12.345]))).toBe('12.3 (0.123–1235)');
    expect(spreadText(spreadOf([12.345]))).toBe('12.3');
  });
});

describe('ratios', () => {
  const speed: Comparison = {
    name: 'decode',
    unit: 'tokens/s',
    better: 'higher',
    figures: {
      'ours, exact': [200, 90, 60],
      'llama.cpp f32': [100, 30, null],
      'llama.cpp q8_0': [400, 90, 120],
    },
  };

  test('are taken within a round: a machine at half its speed favours nobody', () => {
    expect(ratiosOf(speed)).toEqual([
      { comparison: 'decode', ours: 'ours, exact', peer: 'llama.cpp f32', times: spreadOf([2, 3]) },
      { comparison: 'decode', ours: 'ours, exact', peer: 'llama.cpp q8_0', times: spreadOf([0.5, 1, 0.5]) },
    ]);
  });

  test('of seconds are above 1 where ours takes fewer', () => {
    const figures = { 'ours, exact': [20], 'ours, lora': [40], TRL: [60] };
    const ratios = ratiosOf({ name: 'step', unit: 's', better: 'lower', figures });
    expect(ratios.map(({ ours, times }) => [ours, times.median])).toEqual([
      ['ours, exact', 3],
      ['ours, lora', 1.5],
    ]);
  });

  test('a contender without any figure in common has none', () => {
    const figures = { 'ours, exact': [20, null], TRL: [null, 60] };
    expect(ratiosOf({ name: 'step', unit: 's', better: 'lower', figures })).toEqual([]);
  });
});

test('rounds keep figures of one round together, whoever drops out or comes late', () => {
  const rounds = new Rounds();
  rounds.begin();
  rounds.add('a', 1);
  rounds.add('b', 2);
  rounds.begin();
  rounds.add('a', 3);
  rounds.add('c', 4);
  expect(rounds.figures()).toEqual({ a: [1, 3], b: [2, null], c: [null, 4] });
});

describe('llama.cpp', () => {
  test('llama-bench: the row of the prompt, after whatever else was printed', () => {
    const rows = [
      { n_prompt: 0, n_gen: 128, avg_ts: 45.1 },
      { n_prompt: 512, n_gen: 0, avg_ts: 746.25 },
    ];
    expect(parseLlamaBench(`warning: something\n${JSON.stringify(rows)}\n`, 512)).toBe(746.25);
    expect(() => parseLlamaBench(JSON.stringify(rows), 256)).toThrow('no speed for a prompt of 256');
  });

  test('llama-batched-bench: speeds by the number of sequences', () => {
    const line = (pl: number, speed: number, tg = 128) =>
      JSON.stringify({ n_kv_max: 6144, pp: 64, tg, pl, n_kv: 192 * pl, speed_pp: 700.5, speed_tg: speed });
    const output = ['llama_context: n_ctx = 6144', line(1, 45.5), line(32, 356), line(8, 9, 1), ''].join(
      '\n',
    );
    expect([...parseBatchedBench(output, 128)]).toEqual([
      [1, 45.5],
      [32, 356],
    ]);
    expect(() => parseBatchedBench('main: failed to allocate\n', 128)).toThrow('no speeds');
  });

  test('binaries are found in a source tree, or in a folder of their own', () => {
    const [tree, flat] = [join(root, 'tree'), join(root, 'flat')];
    const bin = join(tree, 'build', 'bin');
    for (const folder of [bin, flat]) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'llama-batched-bench'), '');
    }
    expect(llamaBinaries(tree)).toBe(bin);
    expect(llamaBinaries(flat)).toBe(flat);
    expect(llamaBinaries(root)).toBeUndefined();
  });
});

test('products are those of the model', () => {
  expect(productsOf({ ...SMOLLM2_135M, hiddenSize: 32, vocabSize: 100 }).map(productName)).toEqual([
    '2048 × 2048 × 2048',
    '1024 × 32 × 1536',
    '1024 × 1536 × 32',
    '32 × 32 × 1536, weights cold',
    '32 × 32 × 100, weights cold',
    '1024 × 32 × 100',
  ]);
});

test('sizes of growth are those that it says, in rollouts and in tokens of one', () => {
  for (const at of [8, 32, 128, 512]) {
    const { queries, answers, promptTokens, newTokens } = workloadAt('rollouts', at, false);
    expect(queries * answers).toBe(at);
    expect([promptTokens, newTokens]).toEqual([W1.promptTokens, W1.newTokens]);
  }
  for (const at of [64, 2048]) {
    const { queries, answers, promptTokens, newTokens } = workloadAt('tokens', at, false);
    expect([queries * answers, promptTokens + newTokens]).toEqual([8, at]);
  }
});

describe('peers that are missing', () => {
  test('are named with the command that gets them', async () => {
    const missing: string[] = [];
    const peers = await findPeers({ peers: join(root, 'none') }, 'm.gguf', (what, why) =>
      missing.push(`${what}: ${why}`),
    );
    expect(peers).toEqual({ versions: {} });
    expect(missing).toHaveLength(4);
    for (const line of missing) expect(line).toContain(`setup.sh ${join(root, 'none')} m.gguf`);
  });

  test('a package that is missing leaves the others in', async () => {
    const folder = join(root, 'peers');
    const python = join(folder, 'venv', 'bin', 'python');
    mkdirSync(join(folder, 'venv', 'bin'), { recursive: true });
    mkdirSync(join(folder, 'models', 'hf'), { recursive: true });
    writeFileSync(python, '#!/bin/sh\ncase "$2" in *trl*) exit 1;; *) echo 2.15.0;; esac\n');
    chmodSync(python, 0o755);
    const missing: string[] = [];
    const peers = await findPeers({ peers: folder }, 'm.gguf', (what) => missing.push(what));
    expect(peers.versions).toMatchObject({ torch: '2.15.0', numpy: '2.15.0' });
    expect(peers.python).toEqual({ command: python, model: join(folder, 'models', 'hf') });
    expect(missing).toEqual(['trl', 'llama.cpp f32', 'llama.cpp q8_0', 'llama.cpp']);
  });
});

describe('workers', () => {
  const program = (script: string) => ({ name: 'a peer', command: process.execPath, args: ['-e', script] });

  test('answer what they are asked', async () => {
    await using worker = await Worker.start(
      program(
        `console.log('{"ready":true}');
         require('readline').createInterface(process.stdin).on('line', (l) => console.log(2 * JSON.parse(l)))`,
      ),
    );
    expect(await worker.ask(21)).toBe(42);
    expect(await worker.ask(4)).toBe(8);
  });

  test('one that ends says why', async () => {
    const dying = program(`console.error('first'); console.error('out of memory'); process.exit(3)`);
    await expect(Worker.start(dying)).rejects.toThrow(/a peer ended \(3\)[^]*out of memory/);
    const later = program(
      `console.log('{}'); process.stdin.on('data', () => { console.error('no'); process.exit(4) })`,
    );
    await using worker = await Worker.start(later);
    await expect(worker.ask({})).rejects.toThrow(/a peer ended \(4\)[^]*no/);
  });

  test('one that cannot be started says why', async () => {
    const none = { name: 'nobody', command: join(root, 'no-such-program'), args: [] };
    await expect(Worker.start(none)).rejects.toThrow(/nobody ended \(.*ENOENT\)/);
  });
});

describe('a sitting', () => {
  const growth: GrowthPoint[] = [8, 32].flatMap((at) =>
    (['rollouts', 'tokens'] as const).map((along) => ({
      contender: 'ours, exact',
      along,
      at,
      seconds: at / 2,
      peakMemoryBytes: 3e9,
    })),
  );
  const steps = { 'ours, exact': [20, 25], 'ours, lora': [16, 20], TRL: [60, 60] };
  const sitting: Sitting = {
    date: '2026-11-30',
    processor: 'A <b>processor</b>',
    threads: 2,
    model: 'models/hf',
    geometry: SMOLLM2_135M,
    modes: ['exact', 'lora'],
    workload: workloadOf({ quick: false }),
    versions: { torch: '2.15.0' },
    comparisons: [
      {
        name: '2048 × 2048 × 2048',
        unit: 'GFLOP/s',
        better: 'higher',
        figures: { 'ours, exact': [400], 'FMA probe': [420], OpenBLAS: [430] },
      },
      { name: 'step', unit: 's', better: 'lower', figures: steps },
      { name: 'peak memory', unit: 'GB', better: 'lower', figures: { 'ours, exact': [3, 3], TRL: [8, 8] } },
      { name: 'prefill', unit: 'tokens/s', better: 'higher', figures: {} },
    ],
    growth,
    missing: [{ what: 'llama.cpp', why: 'no <script> below it' }],
  };

  test('the limit is the operations at the best rate that anybody reached', () => {
    const [exact, lora] = stepLimits(sitting);
    expect(exact).toMatchObject({ mode: 'exact', gflops: 430, by: 'OpenBLAS' });
    const seconds = workloadOperations(SMOLLM2_135M, W1).step / 430e9;
    expect(exact!.seconds).toBeCloseTo(seconds, 9);
    expect(exact!.share).toEqual(spreadOf([seconds / 20, seconds / 25]));
    expect(lora!.operations).toBe(workloadOperations(SMOLLM2_135M, W1, 'adapter').step);
    expect(stepLimits({ ...sitting, comparisons: sitting.comparisons.slice(1) })).toEqual([]);
  });

  test('as text: medians, spreads, ratios, what is missing', () => {
    const text = sittingText(sitting);
    expect(text).toContain('  TRL             60                      ours, exact: 2.70 (2.40–3.00) ×');
    expect(text).toContain('not measured: llama.cpp: no <script> below it');
    expect(text).toMatch(/32 rollouts +ours, exact +16 s +3\.00 GB/);
  });

  test('as an object it has ratios and limits', () => {
    const { ratios, limits } = JSON.parse(JSON.stringify(summaryOf(sitting))) as ReturnType<typeof summaryOf>;
    expect(ratios).toHaveLength(5);
    expect(limits.map(({ mode }) => mode)).toEqual(['exact', 'lora']);
  });

  test('as a page: charts of ratios and of growth, and nothing hostile', async () => {
    const report = sittingReport(sitting);
    expect(report.headline).toBe('A step is 2.7 times as fast as with TRL, in 38 % of its memory');
    const page = await renderPage(report);
    expect(page).not.toContain('<b>processor</b>');
    expect(page).not.toContain('no <script> below');
    const { charts } = dataIn(page) as { charts: Record<string, { series: { values: unknown[] }[] }> };
    expect(Object.keys(charts)).toEqual([
      'ratios-products-ours-exact',
      'ratios-steps-ours-exact',
      'ratios-steps-ours-lora',
      'growth-rollouts-time',
      'growth-rollouts-memory',
      'growth-tokens-time',
      'growth-tokens-memory',
    ]);
    expect(charts['growth-rollouts-time']!.series[0]!.values).toEqual([0.5, 0.5]);
  });
});
