/** `lsp train` with other games than the default one, on a random model: that they are played, measured and go on. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stories, sums } from '../../lib/cli/training/games/mathematics';
import { mathematicsProbe } from '../../lib/eval/probe';
import { mathematics, type Query } from '../../lib/lsp';
import { FAMILY_CASES, writeFamilyModel } from '../support/family-model';
import { lsp, values } from './support';

let folder: string;
let model: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lsp-games-'));
  // A context that holds the Challenger's examples, byte by byte.
  const { config, parameters } = FAMILY_CASES.language['qwen3']!;
  model = writeFamilyModel(join(folder, 'model'), {
    config: { ...config, max_position_embeddings: 8192 },
    parameters,
  });
});
afterAll(() => rm(folder, { recursive: true }));

const train = (out: string, ...more: string[]) => [
  ...[
    'train',
    '--model',
    model,
    '--out',
    join(folder, out),
    '--steps',
    '1',
    '--queries',
    '2',
    '--answers',
    '2',
  ],
  ...[
    '--query-tokens',
    '8',
    '--max-new-tokens',
    '8',
    '--probe-size',
    '4',
    '--self-reward',
    '0',
    '--json',
    ...more,
  ],
];

describe('lsp train', () => {
  it('plays sums, and measures arithmetic', async () => {
    const { code, stdout, stderr } = await lsp(train('sums', '--task', 'sums'));
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const probes = values(stdout).filter(({ event }) => event === 'probe');
    expect(probes.map(({ step }) => step)).toEqual([0, 1]);
    expect(stderr).toMatch(/held-out problems/);
  });

  it('does not train on sums that it measures with', async () => {
    const [held] = mathematicsProbe('sums', 4);
    const file = join(folder, 'queries.jsonl');
    const rows = [
      { prompt: 'What is 701 + 2?', answer: '703' },
      { prompt: `${held!.core} = ?`, answer: '1' },
    ];
    await writeFile(file, rows.map((row) => JSON.stringify(row)).join('\n'));
    const args = ['train', '--model', model, '--out', join(folder, 'held'), '--probe-size', '4'];
    const { code, stderr } = await lsp([...args, '--task', 'sums', '--queries-file', file]);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/problems that are not held out.*`queriesFile \(row 2\)`/);
  });

  it('plays without constraints where a reward model scores the answers', async () => {
    const { config, parameters } = FAMILY_CASES.scoring['llama-scoring']!;
    const scoring = writeFamilyModel(join(folder, 'scoring'), {
      config: { ...config, max_position_embeddings: 8192 },
      parameters,
    });
    const args = ['--task', 'open', '--reward-model', scoring, '--preset', 'zero'];
    const { code, stdout } = await lsp(train('open', ...args));
    expect(code).toBe(0);
    const [step] = values(stdout).filter(({ event }) => event === 'step');
    expect(step).toBeDefined();
    expect(values(stdout)[0]).toMatchObject({ event: expect.any(String) as string });
  });

  it('says what is wrong with a reward model before it begins', async () => {
    const { code, stderr } = await lsp(train('none', '--task', 'open', '--reward-model', model));
    expect(code).toBe(1);
    expect(stderr).toMatch(/scores sequences .* received a language model/);
    const missing = await lsp(train('none', '--task', 'open'));
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringMatching(/--reward-model/) as string });
  });
});

describe('lsp train --loss', () => {
  const REWARD = `module.exports = { score: (samples) => samples.map(({ answer }) => (answer.length % 3) / 2) };`;
  const EQUAL = 'module.exports = { score: (samples) => samples.map(() => 1) };';

  /** GRPO on three queries, with two updates a batch. */
  async function onQueries(out: string, reward: string, ...more: string[]): Promise<string[]> {
    const file = join(folder, 'queries.jsonl');
    const module = join(folder, `${out}.cjs`);
    await writeFile(file, ['one', 'two', 'three'].map((prompt) => JSON.stringify({ prompt })).join('\n'));
    await writeFile(module, reward);
    const paths = ['--model', model, '--out', join(folder, out), '--queries-file', file, '--reward', module];
    const play = ['--queries', '2', '--answers', '4', '--max-new-tokens', '8', '--probe-size', '0'];
    return ['train', ...paths, ...play, '--updates-per-batch', '2', '--learning-rate', '1e-3', ...more];
  }

  const read = (run: string, file: string) => readFile(join(folder, run, file));

  it('trains with it, and goes on with it', async () => {
    const one = await onQueries('gspo', REWARD, '--loss', 'gspo', '--steps', '1');
    expect(await lsp(one)).toMatchObject({ code: 0 });
    const out = join(folder, 'gspo');
    const other = await lsp(['train', '--resume', out, '--steps', '2', '--loss', 'cispo']);
    expect(other).toMatchObject({ code: 2 });
    expect(other.stderr).toContain('Expected "gspo", as the run was started with, for `--loss`');
    expect(await lsp(['train', '--resume', out, '--steps', '2'])).toMatchObject({ code: 0 });
    for (const loss of ['gspo', 'dr-grpo'])
      expect(
        await lsp(await onQueries(`whole-${loss}`, REWARD, '--loss', loss, '--steps', '2')),
      ).toMatchObject({
        code: 0,
      });
    const weights = 'checkpoints/step-000002/model/model.safetensors';
    const resumed = await read('gspo', weights);
    expect(resumed.equals(await read('whole-gspo', weights))).toBe(true);
    expect(resumed.equals(await read('whole-dr-grpo', weights))).toBe(false);
    const metrics = values(String(await read('gspo', 'metrics.jsonl')));
    expect(metrics).toMatchObject([{ updated: true }, { updated: true }]);
    expect(String(await read('whole-gspo', 'metrics.jsonl'))).toBe(
      String(await read('gspo', 'metrics.jsonl')),
    );
  });

  it('has all of DAPO with queries of a file', async () => {
    const { code, stderr } = await lsp(await onQueries('dapo', EQUAL, '--loss', 'dapo', '--steps', '1'));
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const config = JSON.parse(String(await read('dapo', 'config.json'))) as unknown;
    expect(config).toMatchObject({ options: { loss: 'dapo', samplingRounds: 4, overlongTokens: 2 } });
    // A random model does not end within 8 tokens: each answer is charged one half, and no group has a signal.
    const [step] = values(String(await read('dapo', 'metrics.jsonl')));
    expect(step).toMatchObject({ value: 0.5, queries: 8, updated: false });
  });

  it('is one of a few names', async () => {
    const { code, stderr } = await lsp(train('none', '--loss', 'gsppo'));
    expect(code).toBe(2);
    expect(stderr).toContain('for `--loss` but received "gsppo". Did you mean \'gspo\'?');
  });
});

describe('the gate of maths', () => {
  const read = (form: 'stories' | 'sums', text: string) =>
    mathematics({ form }).parse(text, { messages: [], draw: null }) as Query;
  const signal = new AbortController().signal;

  it.each(['recommended', 'zero'] as const)('of %s keeps out what the probe asks', async (preset) => {
    const asked = mathematicsProbe('sums', 8);
    const gate = (await sums.open(signal)).gate(preset, 8)!;
    const queries = [...asked, read('sums', '701 + 2'), read('sums', '701 + 2')];
    const causes = await gate(queries, { step: 0, history: [] });
    expect(causes).toEqual([...Array<string>(8).fill('held-out'), null, 'duplicate']);
    const open = (await sums.open(signal)).gate(preset, 0)!;
    expect(await open(asked, { step: 0, history: [] })).toEqual(Array(8).fill(null));
  });

  it('keeps stories out that are told with a sum of the probe', async () => {
    const [problem] = mathematicsProbe('stories', 8);
    const tale = read(
      'stories',
      'Sum: 5 * 8 - 6\nProblem: Jo has 5 bags of 8 nuts and eats 6. How many are left?',
    );
    const other = read(
      'stories',
      'Sum: 5 * 8 - 7\nProblem: Jo has 5 bags of 8 nuts and eats 7. How many are left?',
    );
    const gate = (await stories.open(signal)).gate('zero', 8)!;
    expect(await gate([problem!, tale, other], { step: 0, history: [] })).toEqual([
      'held-out',
      'held-out',
      null,
    ]);
  });
});
