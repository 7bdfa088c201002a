/**
 * `lsp train` from end to end on a tiny random model: an interrupted and resumed run must equal an uninterrupted one,
 * byte for byte, however it was interrupted.
 *
 * A step of this model takes milliseconds, so the reward waits when LSP_TEST_WAIT_MS says so: a signal then finds the
 * run where the test wants it.
 */
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeTinyModel } from '../support/tiny-model';
import { launch, lsp, values } from './support';

const STEPS = 6;
const SLOW = { env: { LSP_TEST_WAIT_MS: '400' } };

/** Different answers score differently, so that weights move; the tiny model satisfies no constraint on purpose. */
const REWARD = `
const wait = Number(process.env.LSP_TEST_WAIT_MS ?? 0);
module.exports = {
  async score(samples) {
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    return samples.map(({ answer }) => new Set(answer).size / 20);
  },
};
`;

let root: string;
let model: string;
let whole: string;

const optionsOf = (out: string) => [
  ...[
    '--model',
    model,
    '--out',
    out,
    '--steps',
    String(STEPS),
    '--checkpoint-every',
    '2',
    '--probe-size',
    '3',
  ],
  ...[
    '--preset',
    'zero',
    '--queries',
    '6',
    '--answers',
    '3',
    '--max-new-tokens',
    '12',
    '--query-tokens',
    '40',
  ],
  ...[
    '--learning-rate',
    '1e-3',
    '--reward',
    join(root, 'reward.js'),
    '--threads',
    '1',
    '--memory-budget',
    '16MiB',
  ],
];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'lsp-train-'));
  model = writeTinyModel(join(root, 'model'), { maxPositions: 4096 });
  writeFileSync(join(root, 'reward.js'), REWARD);
  whole = join(root, 'whole');
  const { code, stderr } = await lsp(['train', ...optionsOf(whole)]);
  if (code !== 0) throw new Error(stderr);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

/** All that must be equal in equal runs. */
function outcome(run: string) {
  const last = join(run, 'checkpoints', `step-${String(STEPS).padStart(6, '0')}`);
  return {
    metrics: readFileSync(join(run, 'metrics.jsonl'), 'utf8'),
    samples: readFileSync(join(run, 'samples.jsonl'), 'utf8'),
    probe: readFileSync(join(run, 'probe.jsonl'), 'utf8'),
    state: readFileSync(join(last, 'trainer.json'), 'utf8'),
    weights: digest(join(last, 'model', 'model.safetensors')),
    moments: digest(join(last, 'optimizer.safetensors')),
  };
}

const checkpointsOf = (run: string) => readdirSync(join(run, 'checkpoints')).sort();

describe('a run', () => {
  test('changes the weights, and leaves what the documentation says', () => {
    const files = [
      'checkpoints',
      'config.json',
      'metrics.jsonl',
      'probe.jsonl',
      'report.html',
      'samples.jsonl',
      'timings.jsonl',
    ];
    expect(readdirSync(whole).sort()).toEqual(files);
    const metrics = values(outcome(whole).metrics);
    expect(metrics.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(metrics.some(({ updated }) => updated === true)).toBe(true);
    expect(values(outcome(whole).probe).map(({ step }) => step)).toEqual([0, 2, 4, 6]);
    expect(checkpointsOf(whole)).toEqual(expect.arrayContaining(['step-000004', 'step-000006']));
    expect(outcome(whole).weights).not.toBe(digest(join(model, 'model.safetensors')));
  });

  test('with other threads and another budget is the same', async () => {
    const out = join(root, 'threads');
    const { code } = await lsp(['train', ...optionsOf(out), '--threads', '2', '--memory-budget', '64MiB']);
    expect(code).toBe(0);
    expect(outcome(out)).toEqual(outcome(whole));
  });

  test('with --json prints one event a line, and tells where the run lies', async () => {
    const out = join(root, 'json');
    const { code, stdout } = await lsp(['train', ...optionsOf(out), '--json', '--steps', '2']);
    expect(code).toBe(0);
    const events = values(stdout);
    expect(events.filter(({ event }) => event === 'step')).toHaveLength(2);
    expect(events.at(-1)).toMatchObject({ event: 'end', run: out, step: 2, difference: expect.any(Number) });
  });
});

describe('an interrupted run equals an uninterrupted one', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('after %s', async (signal, exitCode) => {
    const out = join(root, signal);
    const running = launch(['train', ...optionsOf(out)], SLOW);
    await running.seen(`step 3/${STEPS}`);
    running.child.kill(signal);
    const { code, stdout } = await running.finished;
    expect(code).toBe(exitCode);
    expect(stdout).toContain('To go on: npx lsp train --resume');
    expect(checkpointsOf(out).at(-1)).toBe('step-000003');
    expect(existsSync(join(out, 'run.lock'))).toBe(false);
    expect((await lsp(['train', '--resume', out])).code).toBe(0);
    expect(outcome(out)).toEqual(outcome(whole));
  });

  test('before its first step was done', async () => {
    const out = join(root, 'early');
    const running = launch(['train', ...optionsOf(out)], { env: { LSP_TEST_WAIT_MS: '3000' } });
    await running.seen('Probe after step 0');
    running.child.kill('SIGINT');
    expect((await running.finished).code).toBe(130);
    expect(checkpointsOf(out)).toEqual(['step-000000']);
    expect((await lsp(['train', '--resume', out])).code).toBe(0);
    expect(outcome(out)).toEqual(outcome(whole));
  });

  test('after a second Ctrl-C, which leaves at once', async () => {
    const out = join(root, 'twice');
    const running = launch(['train', ...optionsOf(out)], { env: { LSP_TEST_WAIT_MS: '3000' } });
    await running.seen(`step 1/${STEPS}`);
    running.child.kill('SIGINT');
    running.child.kill('SIGINT');
    expect((await running.finished).code).toBe(130);
    expect((await lsp(['train', '--resume', out])).code).toBe(0);
    expect(outcome(out)).toEqual(outcome(whole));
  });

  test('after kill -9, again and again', async () => {
    const out = join(root, 'killed');
    // Within the first steps, while a checkpoint is written, or at the very beginning of a resumed run.
    const delaysMs = [60, 0, 250, 500, 20, 380];
    let args = ['train', ...optionsOf(out)];
    for (const [attempt, delayMs] of delaysMs.entries()) {
      const running = launch(args, { env: { LSP_TEST_WAIT_MS: '100' } });
      await running.seen(attempt === 0 ? 'Probe after step 0' : 'Going on');
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      running.child.kill('SIGKILL');
      await running.finished;
      args = ['train', '--resume', out];
    }
    expect((await lsp(args)).code).toBe(0);
    expect(outcome(out)).toEqual(outcome(whole));
  });

  test('after a reward that failed: the steps before it are kept', async () => {
    const out = join(root, 'failed');
    const reward = join(root, 'reward.js');
    const running = launch(['train', ...optionsOf(out)], SLOW);
    await running.seen(`step 3/${STEPS}`);
    running.child.kill('SIGINT');
    await running.finished;
    writeFileSync(reward, 'module.exports = () => NaN;');
    const failed = await lsp(['train', '--resume', out]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('Expected');
    writeFileSync(reward, REWARD);
    expect((await lsp(['train', '--resume', out])).code).toBe(0);
    expect(outcome(out)).toEqual(outcome(whole));
  });
});

describe('resume', () => {
  test('goes on to more steps; other options are fixed', async () => {
    const out = join(root, 'longer');
    cpSync(whole, out, { recursive: true });
    const refused = await lsp(['train', '--resume', out, '--learning-rate', '1']);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('as the run was started with');
    const shorter = await lsp(['train', '--resume', out, '--steps', '1']);
    expect(shorter.code).toBe(2);
    expect(shorter.stderr).toMatch(/Expected at least \d, as many as are done, for `--steps` but received 1/);
    expect(outcome(out).metrics).toBe(outcome(whole).metrics);
    expect((await lsp(['train', '--resume', out, '--steps', '7'])).code).toBe(0);
    const metrics = readFileSync(join(out, 'metrics.jsonl'), 'utf8');
    expect(metrics.startsWith(outcome(whole).metrics)).toBe(true);
    expect(values(metrics)).toHaveLength(7);
  });

  test('is refused while another process uses the run', async () => {
    const out = join(root, 'locked');
    const running = launch(['train', ...optionsOf(out)], { env: { LSP_TEST_WAIT_MS: '3000' } });
    await running.seen('Probe after step 0');
    const { code, stderr } = await lsp(['train', '--resume', out]);
    running.child.kill('SIGKILL');
    await running.finished;
    expect(code).toBe(1);
    expect(stderr).toContain(`used by process ${running.child.pid}`);
  });

  test('is refused when the model it started from has changed', async () => {
    const out = join(root, 'changed');
    cpSync(whole, out, { recursive: true });
    const config = join(model, 'config.json');
    const before = readFileSync(config);
    writeFileSync(config, `${before.toString()} `);
    const { code, stderr } = await lsp(['train', '--resume', out, '--steps', '8', '--json']);
    writeFileSync(config, before);
    expect(code).toBe(1);
    expect(stderr).toContain('Expected the model that the run started from');
  });
});
