/** `lsp eval` from outside: results, resuming after kill -9, comparisons, and what it refuses. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch, lsp, values } from './support';

let folder: string;
let data: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lsp-eval-cli-'));
  data = join(folder, 'rows.jsonl');
  const rows = Array.from({ length: 80 }, (_, key) => ({
    key,
    prompt: `Sort: k c ${String.fromCharCode(97 + (key % 26))} without commas`,
    instruction_id_list: ['punctuation:no_comma', 'change_case:english_lowercase'],
    kwargs: [{}, {}],
  }));
  await writeFile(data, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
});
afterAll(() => rm(folder, { recursive: true }));

const ifeval = (...more: string[]) => ['eval', 'ifeval', '--model', 'tiny', '--data', data, ...more];

describe('lsp eval', () => {
  it('measures, keeps every item, and prints intervals', async () => {
    const out = join(folder, 'first');
    const { code, stdout, stderr } = await lsp(
      ifeval('--out', out, '--limit', '12', '--max-new-tokens', '8'),
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('12 items') as string });
    expect(stdout).toMatch(/prompts, strict +\d+\.\d % +\[\d+\.\d, \d+\.\d\] +12/);
    const lines = (await readFile(join(out, 'results.jsonl'), 'utf8')).trim().split('\n');
    expect(lines).toHaveLength(12);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      id: '0',
      answers: [{ tokens: expect.any(Number) as number }],
    });
    expect((await readdir(out)).sort()).toEqual([
      'answers.jsonl',
      'config.json',
      'results.jsonl',
      'summary.json',
    ]);
  });

  it('gives everything as JSON, and says how two models differ', async () => {
    const first = join(folder, 'first');
    const args = ifeval('--out', join(folder, 'sampled'), '--limit', '12', '--max-new-tokens', '8');
    const { code, stdout } = await lsp([...args, '--temperature', '1', '--against', first, '--json']);
    expect(code).toBe(0);
    const [result] = values(stdout);
    expect(result).toMatchObject({
      evaluation: 'ifeval',
      count: 12,
      judged: 12,
      failed: [],
      generation: { maxNewTokens: 8, temperature: 1 },
      against: first,
    });
    const [metric] = result!.metrics as Record<string, unknown>[];
    expect(metric).toMatchObject({ name: 'prompt_strict', count: 12 });
    const [difference] = result!.differences as Record<string, number>[];
    expect(difference).toMatchObject({ name: 'prompt_strict', count: 12 });
    expect(difference!.difference).toBeCloseTo(difference!.after! - difference!.before!, 10);
    expect(difference!.low).toBeLessThanOrEqual(difference!.difference!);
  });

  it('goes on after kill -9 with the results of a run that was left alone', async () => {
    const [killed, alone] = [join(folder, 'killed'), join(folder, 'alone')];
    const args = (out: string) =>
      ifeval('--out', out, '--max-new-tokens', '12', '--temperature', '1', '--threads', '1');
    await lsp(args(alone));
    const running = launch(args(killed));
    await running.seen('answered');
    running.child.kill('SIGKILL');
    expect((await running.finished).signal).toBe('SIGKILL');
    const { code } = await lsp(args(killed));
    expect(code).toBe(0);
    for (const name of ['answers.jsonl', 'results.jsonl', 'summary.json', 'config.json']) {
      const [one, other] = await Promise.all([killed, alone].map((out) => readFile(join(out, name), 'utf8')));
      expect(one).toBe(other);
    }
  });

  it('finds its default folder again', async () => {
    const args = [
      'eval',
      'ifeval',
      '--model',
      'tiny',
      '--data',
      data,
      '--limit',
      '3',
      '--max-new-tokens',
      '4',
      '--json',
    ];
    const [first, second] = [await lsp(args, { cwd: folder }), await lsp(args, { cwd: folder })];
    expect([first.code, second.code]).toEqual([0, 0]);
    expect(second.stdout).toBe(first.stdout);
    expect(await readdir(join(folder, 'evals'))).toEqual([
      expect.stringMatching(/^ifeval-tiny-[0-9a-f]{8}$/),
    ]);
  });

  it('stops cleanly on Ctrl-C', async () => {
    const running = launch(
      ifeval('--out', join(folder, 'stopped'), '--max-new-tokens', '400', '--temperature', '1'),
    );
    await running.seen('80 items');
    running.child.kill('SIGINT');
    const { code, stderr } = await running.finished;
    expect(code).toBe(130);
    expect(stderr).toMatch(/same command goes on/);
  });

  it.each([
    [['eval'], 2, /Usage: lsp eval/],
    [['eval', 'ifeval'], 2, /--model/],
    [['eval', 'ifval', '--model', 'tiny'], 2, /Did you mean ifeval/],
    [['eval', 'ifeval', '--model', 'tiny', '--limt', '3'], 2, /Did you mean --limit/],
    [['eval', 'ifeval', '--model', 'tiny', '--threads', '0'], 2, /--threads/],
    [['eval', 'ifeval', '--model', 'tiny', '--data', '/nowhere.jsonl'], 1, /nowhere\.jsonl/],
    [['eval', 'gsm8k', '--model', 'tiny', '--shots', '9', '--data', '/nowhere.jsonl'], 1, /shots/],
  ])('refuses %j', async (args, code, message) => {
    const result = await lsp(args);
    expect({ code: result.code, stderr: result.stderr }).toEqual({
      code,
      stderr: expect.stringMatching(message) as string,
    });
  });

  it('says what is wrong with either model before one is evaluated', async () => {
    const missing = await lsp([
      'eval',
      'ifeval',
      '--model',
      '/nowhere.gguf',
      '--data',
      data,
      '--against',
      'tiny',
    ]);
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringMatching(/nowhere/) as string });
    expect(missing.stderr).not.toMatch(/items, tiny/);
    const many = await lsp(ifeval('--samples', '2'));
    expect(many).toMatchObject({ code: 2, stderr: expect.stringMatching(/`--samples`/) as string });
  });

  it('warns where answers to compare with were sampled otherwise', async () => {
    const args = ['--limit', '12', '--max-new-tokens', '6', '--against', join(folder, 'first')];
    const { code, stderr } = await lsp(ifeval('--out', join(folder, 'shorter'), ...args));
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/sampled with/) as string,
    });
  });

  it('refuses data, options and folders that do not fit, in the words of flags', async () => {
    const wrong = await lsp(ifeval('--limit', '0'));
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringMatching(/`--limit`/) as string });
    const mixed = await lsp(ifeval('--out', join(folder, 'first'), '--limit', '13', '--max-new-tokens', '8'));
    expect(mixed).toMatchObject({ code: 1, stderr: expect.stringMatching(/another `items`/) as string });
  });
});
