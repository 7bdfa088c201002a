import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { runProgram } from '../../lib/cli/program';
import { writeTinyModel } from '../support/tiny-model';

let root: string;
let model: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'lsp-usage-'));
  model = writeTinyModel(join(root, 'model'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Runs the command in this process; what it does natively is not its business here. */
async function run(...args: string[]) {
  const output = { stdout: '', stderr: '' };
  const into = (name: 'stdout' | 'stderr') =>
    new Writable({
      write(chunk: Buffer, _, done) {
        output[name] += chunk.toString();
        done();
      },
    });
  const code = await runProgram(args, { stdout: into('stdout'), stderr: into('stderr') });
  return { code, ...output };
}

describe('usage', () => {
  test('the version and the help are results', async () => {
    expect(await run('--version')).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      stderr: '',
    });
    const help = await run('train', '--help');
    expect(help.code).toBe(0);
    expect(help.stdout).toContain('--learning-rate <x>');
    expect(help.stdout).toContain('Examples:');
    expect((await run('--help')).stdout).toMatch(/train[^]*generate[^]*info/);
  });

  test.each([
    ['no command', [], 'Usage: lsp'],
    ['an unknown command', ['trian'], 'received "trian". Did you mean train?'],
    ['an unknown option', ['train', '--stesp', '3'], 'received "--stesp". Did you mean --steps?'],
    ['an option of another command', ['info', '--seed', '1', 'x'], 'Expected a known option for `lsp info`'],
    ['a value that is no number', ['train', '--steps', 'many'], "'--steps <n>' argument 'many' is invalid"],
    ['a missing value', ['generate', '--model'], "'--model <source>' argument missing"],
    [
      'both ways to begin',
      ['train', '--resume', 'x', '--out', 'y'],
      'beside `--resume` but received `--out`',
    ],
    [
      'a value out of range',
      ['train', '--model', 'x', '--out', 'y', '--learning-rate', '-1'],
      'Expected a number above 0 for `--learning-rate` but received -1.',
    ],
    [
      'an unknown choice',
      ['train', '--model', 'x', '--out', 'y', '--kl-form', 'k4'],
      "Expected one of 'k1', 'k2', 'k3' for `--kl-form` but received \"k4\".",
    ],
    [
      'options that exclude each other',
      ['train', '--model', 'x', '--out', 'y', '--queries-file', 'z', '--preset', 'zero'],
      'Expected nothing beside `--queries-file` for `--preset`',
    ],
    ['an empty prompt', ['generate', '--model', 'x', '--prompt', ' '], 'Expected a prompt that is not empty'],
  ])('%s exits 2', async (_, args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect(stderr).toContain(message);
    expect(stdout).toBe('');
    expect(code).toBe(2);
    expect(stderr.trim().split('\n').length).toBeLessThan(args.length === 0 ? 100 : 2);
  });

  test('a failure exits 1, with --json as a value', async () => {
    const { code, stdout } = await run('info', '--json', join(root, 'nothing.gguf'));
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      error: {
        code: 'IO_ERROR',
        message: expect.stringContaining('nothing.gguf'),
        remedy: expect.any(String),
      },
    });
  });

  test('a run directory that is in use for something else is refused before anything is loaded', async () => {
    writeFileSync(join(root, 'thesis.tex'), '');
    const { code, stderr } = await run('train', '--model', model, '--out', root, '--steps', '1');
    expect(code).toBe(1);
    expect(stderr).toContain('Expected a new or empty directory for `out`');
  });
});

describe('info', () => {
  test('tells the configuration, the tokenizer and the memory, from the headers alone', async () => {
    const { code, stdout } = await run('info', '--json', '--tensors', model);
    expect(code).toBe(0);
    const facts = JSON.parse(stdout);
    expect(facts.config).toMatchObject({
      hiddenSize: 32,
      numLayers: 2,
      vocabSize: 288,
      tiedEmbeddings: true,
    });
    const elements = (shape: number[]) => shape.reduce((a, b) => a * b, 1);
    const counted = facts.tensors.reduce(
      (sum: number, one: { shape: number[] }) => sum + elements(one.shape),
      0,
    );
    expect(facts.config.parameterCount).toBe(counted);
    expect(facts.fileTypes).toEqual({ f32: 4 * counted });
    expect(facts.tokenizer).toMatchObject({
      type: 'BPE',
      eos: [
        { id: 2, text: '<|im_end|>' },
        { id: 0, text: '<|endoftext|>' },
      ],
      hasChatTemplate: true,
    });
    // Weights, reference, gradients (with the tied embedding's second one), two moments.
    const { memory } = facts.training;
    // The engine stores matrices in panels of 32 rows.
    const stored = facts.tensors.reduce(
      (sum: number, { shape }: { shape: number[] }) =>
        sum + (shape.length === 2 ? Math.ceil(shape[0]! / 32) * 32 * shape[1]! : shape[0]!),
      0,
    );
    expect(stored).toBeGreaterThan(counted);
    expect(memory.weights).toBe(4 * stored);
    expect(memory.moments).toBe(8 * stored);
    expect(memory.gradients).toBe(4 * stored + 4 * 288 * 32);
    const { total, ...parts } = memory;
    const sum = Object.values(parts as Record<string, number>).reduce((a, b) => a + b, 0);
    // Activations and the key-value cache are never there at the same time.
    expect(total).toBe(sum - Math.min(Number(memory.activations), Number(memory.keyValueCache)));
  });

  test('is readable', async () => {
    const { stdout } = await run('info', '--tensors', model);
    expect(stdout).toContain('4 heads of 8, 2 key-value heads');
    expect(stdout).toContain('model.layers.1.self_attn.q_proj.weight');
    expect(stdout).toMatch(/AdamW moments +\d/);
  });
});
