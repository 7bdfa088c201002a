/** `lsp train` as a newcomer calls it, without a model or a directory: the bundled model, the tiny world, a page. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { heldOutTasks } from '../../lib/world';
import { lsp, values } from './support';

/** Small, and otherwise the default: a step takes half a second. */
const SHORT = ['--steps', '3', '--probe-size', '76', '--checkpoint-every', '2', '--threads', '2'];

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'lsp-default-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const records = (run: string, file: string) =>
  readFileSync(join(root, 'runs', run, file), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('plays the tiny world with the bundled model and tells what came out of it', async () => {
  const { code, stdout, stderr } = await lsp(['train', ...SHORT], { cwd: root });
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toMatch(/Accuracy after step 0: \d+\.\d % on 7\d held-out tasks/);
  expect(stdout).toMatch(/best {4}.*\n {2}worst/);
  expect(stdout).toMatch(/before {3}after\naddition +\d+ % +\d+ %\n/);
  expect(stdout).toMatch(/% before, [\d.]+ % after: [+−][\d.]+ points, 95 % interval/);
  expect(readFileSync(join(root, 'runs', 'tiny', 'report.html'), 'utf8')).toContain('<h1>');

  const metrics = records('tiny', 'metrics.jsonl');
  expect(metrics).toHaveLength(3);
  expect(metrics.at(-1)).toMatchObject({
    queries: 76,
    difficulty: { mean: expect.any(Number), max: expect.any(Number) },
    rejections: expect.any(Object),
    solver: { kl: expect.any(Number) },
  });
  const samples = records('tiny', 'samples.jsonl');
  expect(samples[0].info).toMatchObject({ kind: 'addition', level: expect.any(Number) });
  const [before] = records('tiny', 'probe.jsonl');
  expect(before.groups).toHaveLength(19);
});

test('a second run takes the next name, and is the same to the byte', async () => {
  const { code, stdout } = await lsp(['train', ...SHORT, '--threads', '1', '--json'], { cwd: root });
  expect(code).toBe(0);
  const end = values(stdout).at(-1);
  expect(end).toMatchObject({ event: 'end', run: join(root, 'runs', 'tiny-2') });
  expect(existsSync(end!['report'] as string)).toBe(true);
  for (const file of ['metrics.jsonl', 'samples.jsonl', 'probe.jsonl']) {
    const [first, second] = ['tiny', 'tiny-2'].map((run) =>
      readFileSync(join(root, 'runs', run, file), 'utf8'),
    );
    expect(second).toBe(first);
  }
  const weights = (run: string) =>
    readFileSync(join(root, 'runs', run, 'checkpoints', 'step-000003', 'model', 'model.safetensors'));
  expect(weights('tiny-2').equals(weights('tiny'))).toBe(true);
});

test('forty steps take it from less than half of the held-out tasks right to four fifths and more', async () => {
  const options = ['--steps', '40', '--checkpoint-every', '40', '--out', join(root, 'forty')];
  const { code } = await lsp(['train', ...options], { cwd: root });
  expect(code).toBe(0);
  const probes = readFileSync(join(root, 'forty', 'probe.jsonl'), 'utf8')
    .trim()
    .split('\n');
  const [before, after] = probes.map((line) => (JSON.parse(line) as { score: number }).score);
  expect(before).toBeLessThan(0.5);
  expect(after).toBeGreaterThan(0.8);
});

test('what came out of it plays the same world when it is trained on, or is refused before there is a run', async () => {
  const model = join(root, 'runs', 'tiny', 'checkpoints', 'step-000003', 'model');
  const options = ['train', '--model', model, ...SHORT, '--steps', '1'];
  const same = await lsp([...options, '--out', join(root, 'again')], { cwd: root });
  expect(same.stdout).toContain('held-out tasks');
  expect(same.code).toBe(0);
  const other = await lsp([...options, '--out', join(root, 'other'), '--task', 'instructions'], {
    cwd: root,
  });
  expect(other.code).not.toBe(0);
  expect(other.stderr).toContain('this model takes no system message');
  expect(other.stderr).toContain('Choose another `--task`');
  expect(existsSync(join(root, 'other'))).toBe(false);
});

test('trains on rows of tasks as well, and refuses those that it cannot check before it begins', async () => {
  const file = join(root, 'rows.jsonl');
  const train = (rows: object[]) => {
    writeFileSync(file, rows.map((row) => JSON.stringify(row)).join('\n'));
    return lsp(['train', ...SHORT, '--steps', '1', '--queries-file', file], { cwd: root });
  };
  const [sum, list] = [
    { prompt: 'What is 5 + 7?', answer: '12' },
    { prompt: 'Sort: k c a', answer: 'a c k', credit: 'items' },
  ];
  const number = await train([list, { ...sum, answer: 12 }]);
  expect(number.code).not.toBe(0);
  expect(number.stderr).toContain('Expected the right answer as a string for `queriesFile (row 2).answer`');
  const other = await train([{ ...list, credit: 'some' }]);
  expect(other.stderr).toContain('queriesFile (row 1).credit');
  const heldOut = await train([sum, { prompt: heldOutTasks()[0]!.text, answer: '0' }]);
  expect(heldOut.stderr).toContain('Expected tasks that are not held out');
  expect(heldOut.stderr).toContain('queriesFile (row 2)');
  const { code, stdout } = await train([sum, list]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/Accuracy after step 1: \d+\.\d % on 7\d held-out tasks/);
});
