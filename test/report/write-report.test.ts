import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { LspError, writeReport } from '../../lib';
import { runProgram } from '../../lib/cli/program';
import {
  CONFIG,
  dataIn,
  goodRun,
  readPage,
  remove,
  temporaryDirectory,
  writeRun,
  type RunFiles,
} from './support';

let root: string;
let made = 0;
beforeAll(async () => {
  root = await temporaryDirectory();
});
afterAll(() => remove(root));

async function pageOf(files: RunFiles): Promise<string> {
  return readPage(await writeReport(await writeRun(join(root, `run-${made++}`), files)));
}

/** The text of a page without its markup, scripts and style. */
function textOf(page: string): string {
  const body = page.slice(page.indexOf('<body>')).replace(/<script[^]*?<\/script>/g, '');
  return body
    .replace(/<[^>]*>/g, ' ')
    .replace(/&#39;/g, "'")
    .replace(/\s+/g, ' ');
}

const headingOf = (page: string) => /<h1>([^<]*)<\/h1>/.exec(page)?.[1];

const step = (number: number, fields: object = {}) => {
  const { metrics } = goodRun({ steps: 3 });
  return { ...(metrics[0] as Record<string, unknown>), step: number, ...fields };
};

describe('writing', () => {
  test('goes into the run, whole, and again', async () => {
    const run = await writeRun(join(root, 'whole'), goodRun({ steps: 3 }));
    const path = await writeReport(run);
    expect(path).toBe(join(run, 'report.html'));
    const first = await readFile(path, 'utf8');
    expect(first.startsWith('<!doctype html>')).toBe(true);
    expect(first.trimEnd().endsWith('</html>')).toBe(true);
    expect(await writeReport(run)).toBe(path);
    // Nothing in a page depends on when it was made.
    expect(await readFile(path, 'utf8')).toBe(first);
    expect(await readdir(run)).toEqual([
      'config.json',
      'metrics.jsonl',
      'probe.jsonl',
      'report.html',
      'samples.jsonl',
      'timings.jsonl',
    ]);
  });

  test('goes where it is told', async () => {
    const run = await writeRun(join(root, 'elsewhere'), goodRun({ steps: 2 }));
    const out = join(root, 'mine.html');
    expect(await writeReport(run, { out })).toBe(out);
    expect(await readdir(run)).not.toContain('report.html');
  });

  test('refuses what is no run, what cannot be written, and options that nobody knows', async () => {
    const codeOf = async (attempt: Promise<unknown>) =>
      attempt.then(
        () => 'none',
        (error: unknown) => (error instanceof LspError ? error.code : String(error)),
      );
    await mkdir(join(root, 'nothing'));
    await writeRun(join(root, 'other'), { config: { some: 'thing' } });
    const run = await writeRun(join(root, 'fine'), {});
    expect(await codeOf(writeReport(join(root, 'nothing')))).toBe('INVALID_CHECKPOINT');
    expect(await codeOf(writeReport(join(root, 'missing')))).toBe('INVALID_CHECKPOINT');
    expect(await codeOf(writeReport(join(root, 'other')))).toBe('INVALID_CHECKPOINT');
    expect(await codeOf(writeReport(run, { out: join(root, 'no', 'such', 'folder.html') }))).toBe('IO_ERROR');
    expect(await codeOf(writeReport(run, { out: root }))).toBe('IO_ERROR');
    expect(await codeOf(writeReport(run, { output: 'x' } as never))).toBe('UNKNOWN_OPTION');
    expect(await codeOf(writeReport(7 as never))).toBe('INVALID_ARGUMENT');
    expect((await readdir(root)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('the command prints the path', async () => {
    const run = await writeRun(join(root, 'commanded'), goodRun({ steps: 2 }));
    const call = async (...args: string[]) => {
      const written = { stdout: '', stderr: '' };
      const into = (name: 'stdout' | 'stderr') =>
        new Writable({
          write(chunk: Buffer, _, done) {
            written[name] += chunk.toString();
            done();
          },
        });
      const code = await runProgram(['report', ...args], { stdout: into('stdout'), stderr: into('stderr') });
      return { code, ...written };
    };
    const path = join(run, 'report.html');
    expect(await call(run)).toEqual({ code: 0, stdout: `${path}\n`, stderr: '' });
    const out = join(root, 'by-command.html');
    expect(await call(run, '--out', out, '--json')).toEqual({
      code: 0,
      stdout: `${JSON.stringify({ report: out })}\n`,
      stderr: '',
    });
    expect(await call(join(root, 'missing'))).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('lsp: Expected a run directory'),
    });
  });
});

describe('the headline', () => {
  const probe = (at: number, scores: number[]) => ({
    step: at,
    score: scores.reduce((sum, score) => sum + score, 0) / scores.length,
    scores,
    meanTokens: 1,
  });
  const metrics = [step(1), step(2)];

  test('says better, with the interval', async () => {
    // Differences 1, 1, 0, 1: mean 0.75, standard error 0.25, t(0.975, 3) = 3.182.
    const page = await pageOf({ metrics, probes: [probe(0, [0, 0, 0, 0]), probe(2, [1, 1, 0, 1])] });
    expect(textOf(page)).toMatch(/changed by \+75\.0 points \(95% interval −4\.[56] to \+154\.[56], paired/);
    expect(headingOf(page)).toBe('No clear change on held-out tasks: from 0% to 75% in 2 steps');
    const eight = await pageOf({
      metrics,
      probes: [probe(0, Array(8).fill(0)), probe(2, [1, 1, 1, 1, 1, 1, 0, 1])],
    });
    expect(headingOf(eight)).toBe('Better at held-out tasks: from 0% to 87.5% in 2 steps');
  });

  test('says worse, as a problem', async () => {
    const page = await pageOf({
      metrics,
      probes: [probe(0, Array(8).fill(1)), probe(2, [0, 0, 0, 0, 0, 0, 1, 0])],
    });
    expect(headingOf(page)).toBe('Worse at held-out tasks: from 100% to 12.5% in 2 steps');
    expect(textOf(page)).toContain('Problem: The score on held-out tasks went down by 87.5 points.');
  });

  test('claims nothing where tasks cannot be paired', async () => {
    const page = await pageOf({ metrics, probes: [probe(0, [0, 1]), probe(2, [1, 1, 1])] });
    expect(headingOf(page)).toBe('On held-out tasks: from 50% to 100% in 2 steps');
    expect(textOf(page)).toContain('cannot be paired');
  });

  test('counts steps and queries', async () => {
    const page = await pageOf({
      metrics: [step(1, { queries: 8, validQueries: 5 }), step(2, { queries: 8, validQueries: 8 })],
    });
    expect(headingOf(page)).toBe('2 steps done, not measured on held-out tasks');
    expect(textOf(page)).toContain(
      'SmolLM2-135M-Instruct.Q4_1.gguf played 2 of 60 steps against itself. ' +
        'As the Challenger it wrote 16 queries, of which 13 were accepted and answered.',
    );
  });
});

describe('notices', () => {
  const good = goodRun({ steps: 4 });
  const change = (fields: (number: number) => object) =>
    good.metrics.map((record, i) => ({ ...(record as object), ...fields(i + 1) }));
  const noticesIn = (page: string) =>
    [...page.matchAll(/<li class="notice (\w+)">([^]*?)<\/li>/g)].map(([, severity, markup]) =>
      `${severity}: ${textOf(`<body>${markup!}`).replace(/^ \S+ \w+ : /, '')}`.trim(),
    );

  test('a good run has nothing to worry about', async () => {
    const page = await pageOf(good);
    expect(noticesIn(page)).toEqual([expect.stringMatching(/^good: .*Nothing to worry about\./)]);
  });

  test('warnings of one kind become one, with first, last and how often', async () => {
    const page = await pageOf({
      ...good,
      metrics: change((number) => ({
        warnings: number === 1 ? [] : [`The solver is 0.5${number} nats per token away from the reference.`],
        noSignal: number === 3 ? 'No signal: all answers in every group scored the same.' : null,
      })),
    });
    const notices = noticesIn(page);
    expect(notices).toHaveLength(2);
    expect(notices[0]).toContain('The solver is 0.54 nats per token away from the reference.');
    expect(notices[0]).toContain('In 3 of 4 steps, first in step 2, last in step 4 (quoted).');
    expect(notices[1]).toMatch(/No signal: .* In step 3 alone\./);
  });

  test('rejections with other causes are one kind', async () => {
    const page = await pageOf({
      ...good,
      metrics: change((number) => ({
        warnings: [
          `${number + 4} of 8 queries were rejected (${number} no-task${number > 2 ? ', 1 markup' : ''}).`,
        ],
      })),
    });
    expect(noticesIn(page)).toHaveLength(1);
  });

  test.each([
    [
      'entropy',
      (n: number) => ({ challenger: { entropy: n === 4 ? 0.5 : 2 } }),
      "challenger's entropy fell to 25%",
    ],
    ['length', (n: number) => ({ solver: { length: n === 4 ? 5 : 50 } }), "solver's texts fell to 10%"],
    ['KL', () => ({ challenger: { kl: 0.7 } }), 'challenger is 0.7 nats a token away'],
    ['rejections', () => ({ queries: 8, validQueries: 3 }), 'Most queries were rejected: 20 of 32.'],
    ['repetition', () => ({ duplicateShare: 0.75 }), 'The Challenger repeats itself: 75%'],
  ])('%s is noticed though the run said nothing', async (_, fields, expected) => {
    const notices = noticesIn(await pageOf({ ...good, metrics: change(fields) }));
    expect(notices).toEqual([expect.stringContaining(expected)]);
    expect(notices[0]).toMatch(/^warning/);
  });

  test('a Solver that gets better and surer is a note, no warning', async () => {
    const metrics = change((n: number) => ({ solver: { entropy: n === 4 ? 0.5 : 2 } }));
    const notices = noticesIn(await pageOf({ ...good, metrics }));
    expect(notices.join('\n')).toMatch(/^note: .*solver's entropy fell to 25%/m);
    expect(notices.join('\n')).not.toMatch(/^warning/m);
  });

  test('little signal is a warning, unless the score is up: then most answers are right', async () => {
    const metrics = change(() => ({ validQueries: 8, zeroSignalGroups: 6 }));
    const expected = /little to learn from: in 75% of the groups/;
    const [fine, note] = noticesIn(await pageOf({ ...good, metrics }));
    expect([fine, note]).toEqual([expect.stringMatching(/^good/), expect.stringMatching(/^note/)]);
    expect(note).toMatch(expected);
    const [warning, ...others] = noticesIn(await pageOf({ ...good, metrics, probes: [] }));
    expect(warning).toMatch(/^warning/);
    expect(warning).toMatch(expected);
    expect(others).toEqual([]);
  });

  test('far from the reference is a note where the loss does not charge for it', async () => {
    const metrics = change(() => ({ solver: { kl: 0.7 } }));
    const config = good.config as { options: object };
    const free = { ...config, options: { ...config.options, klBeta: 0 } };
    const notices = noticesIn(await pageOf({ ...good, metrics, config: free }));
    expect(notices.join('\n')).toMatch(/^note: .*solver is 0.7 nats a token away/m);
    expect(notices.join('\n')).not.toMatch(/^warning/m);
  });

  test('what the run has said is not said again', async () => {
    const said = "The solver's entropy has fallen to 25 % of the first step's.";
    const fields = (n: number) => ({
      solver: { entropy: n === 4 ? 0.5 : 2 },
      warnings: n === 4 ? [said] : [],
    });
    expect(noticesIn(await pageOf({ ...good, metrics: change(fields) }))).toEqual([
      expect.stringContaining(said),
    ]);
  });
});

describe('curves', () => {
  test('follow the records', async () => {
    const good = goodRun({ steps: 5 });
    const { charts } = dataIn(await pageOf(good));
    const records = good.metrics as { step: number; solver: { kl: number }; challenger: { kl: number } }[];
    expect(charts['kl']!.along.positions).toEqual([1, 2, 3, 4, 5]);
    for (const [i, role] of (['solver', 'challenger'] as const).entries()) {
      records.forEach((record, k) =>
        expect(charts['kl']!.series[i]!.values[k]).toBeCloseTo(record[role].kl, 6),
      );
    }
    expect(charts['difficulty']!.series.map(({ name }) => name)).toEqual(['Hardest', 'Mean']);
    expect(charts['held-out-groups']!.series.map(({ name }) => name)).toEqual(['Before', 'After']);
    expect(charts['time']!.series.map(({ name }) => name)).not.toContain('Judging');
  });

  test('sum up rejections by cause', async () => {
    const { charts } = dataIn(
      await pageOf({
        metrics: [
          step(1, { rejections: { markup: 1, 'too-short': 2 } }),
          step(2, { rejections: {} }),
          step(3, { rejections: { 'too-short': 1 } }),
        ],
      }),
    );
    expect(charts['rejections']!.series).toEqual([
      { name: 'too-short', values: [2, 2, 3] },
      { name: 'markup', values: [1, 1, 1] },
    ]);
  });

  test('a run on given queries has no Challenger, and says so', async () => {
    const page = await pageOf({
      config: { ...CONFIG, kind: 'grpo' },
      metrics: [1, 2].map((number) =>
        step(number, {
          challenger: null,
          duplicateShare: null,
          difficulty: null,
          solver: { kl: null, entropy: 1 },
        }),
      ),
    });
    expect(Object.keys(dataIn(page).charts).sort()).toEqual(['entropy', 'gradient', 'reward']);
    expect(textOf(page)).toContain('there is no Challenger');
    expect(textOf(page)).toContain(
      'Not drawn: Distance from the starting model (KL). The run kept no reference to compare with.',
    );
  });

  test('long ones are shortened, their extremes are told', async () => {
    const metrics = Array.from({ length: 1000 }, (_, i) => step(i + 1, { gradNorm: i === 500 ? 99 : 1 }));
    const page = await pageOf({ metrics });
    const { along, series } = dataIn(page).charts['gradient']!;
    expect(along.positions).toHaveLength(200);
    expect([along.positions[0], along.positions.at(-1)]).toEqual([1, 1000]);
    expect(series[0]!.values).toHaveLength(200);
    expect(page).toContain('highest 99 at step 501');
    expect(page).toContain('Each point is the mean of 5 neighbouring values.');
  });
});

describe('damage', () => {
  test('torn and broken lines are left out and counted; a line being written is not', async () => {
    const page = await pageOf({
      metrics: [step(1), 'not json\n', '{"step":"two"}\n', '[]\n', '\n', step(2), '{"step":3,"solv'],
      samples: [
        {
          step: 1,
          index: 0,
          written: 'a\u2028b',
          query: null,
          rejected: 'x',
          info: {},
          value: null,
          answers: [],
        },
      ],
    });
    expect(textOf(page)).toContain("3 lines of the run's files could not be read and are left out.");
    expect(dataIn(page).charts['reward']!.along.positions).toEqual([1, 2]);
    // U+2028 ends a line for some readers of lines, not for JSON.
    expect(dataIn(page).records['queries']!.rows[0]![1]).toEqual({ text: 'a\u2028b' });
  });

  test('fields of a wrong kind are no values', async () => {
    const odd = {
      solver: 7,
      challenger: [],
      value: '0.5',
      rejections: null,
      warnings: 'x',
      queries: {},
      noSignal: 3,
    };
    const page = await pageOf({
      metrics: [step(1, odd), `{"step":2,"solver":{"reward":1e999,"kl":0.25}}\n`],
      samples: [{ step: 1, info: null, answers: [null, 3, { text: 5 }], value: 'x' }],
      probes: [
        { step: 0, score: 'high' },
        { step: 1, score: 0.5, scores: [null, 1], groups: [{ name: 1 }, null] },
      ],
      timings: [{ step: 1, seconds: 5 }],
    });
    expect(dataIn(page).charts['kl']!.series).toEqual([{ name: 'Solver', values: [null, 0.25] }]);
    expect(Object.keys(dataIn(page).charts)).not.toContain('held-out-groups');
    expect(dataIn(page).records['queries']!.rows).toHaveLength(1);
  });

  test('a run without any records has its configuration', async () => {
    const page = await pageOf({});
    expect(headingOf(page)).toBe('No step finished yet, not measured on held-out tasks');
    expect(dataIn(page)).toEqual({ charts: {}, records: {} });
    expect(textOf(page)).toContain('learningRate 0.00002');
    expect(textOf(page)).toContain('c0ffeec0ffee');
  });
});

test('the licences of what is inlined are in the page', async () => {
  const page = await pageOf({});
  expect(page).toMatch(/\/\*!\s+\* Chart\.js v\d/);
  expect(textOf(page).match(/Permission is hereby granted, free of charge/g)).toHaveLength(2);
  expect(page).not.toContain('sourceMappingURL');
});

test('the files of a page are part of the package', async () => {
  const text = await readFile(join(__dirname, '../../package.json'), 'utf8');
  expect((JSON.parse(text) as { files: string[] }).files).toContain('assets');
});
