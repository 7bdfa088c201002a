import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { withConfigFile } from '../../lib/cli/config-flag';
import { runProgram } from '../../lib/cli/program';
import { UsageError } from '../../lib/cli/usage';
import { LspError } from '../../lib/errors';
import { readConfigFile } from '../../lib/run/config-file';
import { resolveTrainOptions } from '../../lib/run/train-options';

let root: string;
beforeAll(() => void (root = mkdtempSync(join(tmpdir(), 'lsp-config-'))));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let files = 0;
const fileOf = (content: string | Uint8Array, extension = 'yaml') => {
  files += 1;
  const path = join(root, `file-${files}.${extension}`);
  writeFileSync(path, content);
  return path;
};

/** What reading the path fails with, without the folder. */
const failure = (path: string): { code: string; message: string } => {
  try {
    readConfigFile(path);
  } catch (error) {
    if (!(error instanceof LspError)) throw error;
    return {
      code: error.code,
      message: error.message.replaceAll(join(root, '/'), '').replace(/file-\d+/, 'file'),
    };
  }
  throw new Error('expected an LspError');
};

describe('a configuration file', () => {
  test('says what flags say, sizes as bytes, and nothing that does not stand in it', () => {
    const path = fileOf(
      '# a run\nmodel: tiny\nsteps: 20 # short\nlearningRate: 1e-5\nmemoryBudget: 512 MiB\nklForm: "k3"\n',
    );
    expect(readConfigFile(path)).toEqual({
      model: 'tiny',
      steps: 20,
      learningRate: 1e-5,
      memoryBudget: 512 * 2 ** 20,
      klForm: 'k3',
    });
    expect(readConfigFile(fileOf('loss: gspo'))).toEqual({ loss: 'gspo' });
    expect(() => readConfigFile(fileOf('steps: 1\nloss: gsop'))).toThrow(
      /`loss \(.*:2\)` but received "gsop"\. Did you mean 'gspo'\?/,
    );
    expect(readConfigFile(fileOf('memoryBudget: 2000000000'))).toEqual({ memoryBudget: 2e9 });
  });

  test('may be JSON, as editors on any system write it', () => {
    const options = { model: 'a/b.gguf', out: 'runs/ä', steps: 3, memoryBudget: '1GB' };
    const expected = { ...options, memoryBudget: 1e9 };
    expect(readConfigFile(fileOf(JSON.stringify(options), 'json'))).toEqual(expected);
    const windows = `\ufeff${JSON.stringify(options, null, '\t').replaceAll('\n', '\r\n')}`;
    expect(readConfigFile(fileOf(windows, 'json'))).toEqual(expected);
  });

  test('an alias stands for a plain value', () => {
    expect(readConfigFile(fileOf('steps: &n 12\nqueries: *n'))).toEqual({ steps: 12, queries: 12 });
  });

  test('the example is sound', () => {
    const { model, out, ...options } = readConfigFile(join(__dirname, '..', '..', 'examples', 'train.yaml'));
    expect([model, out]).toEqual([expect.any(String), expect.any(String)]);
    expect(resolveTrainOptions(options)).toMatchObject(options);
  });
});

describe('a configuration file is refused', () => {
  test.each([
    [
      'a misspelt key',
      'steps: 3\nlearningrate: 1',
      'Expected a known option for `file.yaml:2` but received "learningrate". Did you mean `learningRate`?',
    ],
    ['a flag as a key', 'learning-rate: 1', 'Did you mean `learningRate`?'],
    ['a misspelt path', 'modle: x', 'Did you mean `model`?'],
    ['a key from nowhere', 'zzzzzzzz: 1', 'Known options: model, out, steps'],
    ['resume', 'steps: 3\nresume: runs/first', 'for `file.yaml:2` but received "resume". It is a flag only'],
    [
      'a prototype',
      '__proto__: {steps: 3}',
      'Expected a known option for `file.yaml:1` but received "__proto__"',
    ],
    ['a merge key', 'a: &a {steps: 3}\n<<: *a', 'Expected a known option for `file.yaml:1` but received "a"'],
  ])('%s: unknown', (_, content, message) => {
    const { code, message: received } = failure(fileOf(content));
    expect(received).toContain(message);
    expect(code).toBe('UNKNOWN_OPTION');
  });

  test.each([
    [
      'out of range',
      '\n\nsteps: 0',
      'Expected an integer of at least 1 for `steps (file.yaml:3)` but received 0.',
    ],
    ['a number as text', 'steps: "3"', 'for `steps (file.yaml:1)` but received "3".'],
    ['not finite', 'learningRate: .inf', 'for `learningRate (file.yaml:1)` but received Infinity.'],
    [
      'an unknown choice',
      'klForm: k9',
      "Expected one of 'k1', 'k2', 'k3' for `klForm (file.yaml:1)` but received \"k9\".",
    ],
    ['no value', 'steps:\nseed: 1', 'for `steps (file.yaml:1)` but received null.'],
    [
      'a size that is none',
      'memoryBudget: lots',
      'such as 4GB for `memoryBudget (file.yaml:1)` but received "lots".',
    ],
    ['a size too small', 'memoryBudget: 4KB', 'for `memoryBudget (file.yaml:1)` but received 4000.'],
    ['a list', 'steps: [3]', 'Expected a single value for `file.yaml:1` but received a list.'],
    ['a mapping', 'steps:\n  at: 3', 'Expected a single value for `file.yaml:1` but received a mapping.'],
    [
      'a path that is a number',
      'out: 2024',
      'Expected a non-empty string for `out (file.yaml:1)` but received 2024.',
    ],
    ['an empty path', 'model: ""', 'Expected a non-empty string for `model (file.yaml:1)` but received "".'],
    [
      'a key twice',
      'steps: 3\nseed: 1\nsteps: 4',
      'Expected each option once for `file.yaml:3` but received "steps".',
    ],
    [
      'a key that is no name',
      '? [a, b]\n: 3',
      'Expected the name of an option before the colon for `file.yaml:1`',
    ],
    [
      'a list of options',
      '- steps: 3',
      'Expected a mapping of options to values for `file.yaml` but received "- steps: 3".',
    ],
    ['a sentence', 'twenty steps, please', 'Expected a mapping of options to values'],
    ['an empty file', '', 'Expected at least one option for `file.yaml` but received none.'],
    ['only remarks', '# steps: 3\n', 'Expected at least one option for `file.yaml` but received none.'],
    [
      'two documents',
      'steps: 3\n---\nsteps: 4',
      'Expected YAML or JSON for `file.yaml:2` but received something else',
    ],
    [
      'a broken line',
      'steps: 3\nseed: 1: 2',
      'Expected YAML or JSON for `file.yaml:2` but received something else',
    ],
    ['a tag of a language', 'steps: !!js/function "x"', 'Expected YAML or JSON for `file.yaml:1`'],
    ['an alias of nothing', 'steps: *nothing', 'for `steps (file.yaml:1)` but received null.'],
    ['an alias of itself', 'steps: &a [*a]', 'Expected a single value for `file.yaml:1`'],
  ])('%s', (_, content, message) => {
    const { code, message: received } = failure(fileOf(content));
    expect(received).toContain(message);
    expect(code).toBe('INVALID_ARGUMENT');
  });

  test('aliases of aliases are not multiplied', () => {
    const levels = Array.from({ length: 40 }, (_, level) =>
      level === 0
        ? 'l0: &l0 [x]'
        : `l${level}: &l${level} [${Array(10)
            .fill(`*l${level - 1}`)
            .join(', ')}]`,
    );
    expect(failure(fileOf(levels.join('\n'))).message).toContain('received "l0"');
    const nested = `steps: &s [${'['.repeat(5000)}${']'.repeat(5000)}]\nseed: *s`;
    expect(failure(fileOf(nested)).message).toMatch(/Expected a single value|it is nested too deeply/);
  });

  // Some seconds each: a search for duplicates in quadratic time would take minutes, a stack overflow would show.
  test.each([
    ['keys', Array.from({ length: 90_000 }, (_, index) => `k${index}: 1`).join('\n')],
    ['brackets', '['.repeat(900_000)],
    ['anchors', '&a '.repeat(300_000)],
  ])(
    'a million %s',
    (_, content) => {
      expect(failure(fileOf(content)).code).toMatch(/INVALID_ARGUMENT|UNKNOWN_OPTION/);
    },
    60_000,
  );

  test('what is too large, no text, or no file', () => {
    expect(failure(fileOf('#'.repeat(1e6 + 1))).message).toContain('Expected at most 1 MB for `file.yaml`');
    expect(failure(fileOf(Uint8Array.of(0x61, 0xff, 0xfe))).message).toContain('Expected text in UTF-8');
    mkdirSync(join(root, 'folder'));
    expect(failure(join(root, 'folder')).message).toContain('Expected a regular file for `folder`');
    const pipe = join(root, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(failure(pipe).message).toContain('Expected a regular file for `pipe`');
    expect(failure('/dev/zero').message).toContain('Expected a regular file');
    expect(failure(join(root, 'nothing'))).toMatchObject({
      code: 'IO_ERROR',
      message: expect.stringContaining('nothing` but received ENOENT') as string,
    });
  });
});

describe('--config', () => {
  test('flags win over the file; the flag itself is no option', () => {
    const path = fileOf('model: tiny\nsteps: 20\nseed: 1');
    expect(withConfigFile({ config: path, steps: 3, out: 'runs/x' })).toEqual({
      model: 'tiny',
      out: 'runs/x',
      steps: 3,
      seed: 1,
    });
    expect(withConfigFile({ steps: 3 })).toEqual({ steps: 3 });
  });

  test('stands not beside --resume', () => {
    const path = fileOf('steps: 20');
    expect(() => withConfigFile({ config: path, resume: 'runs/x' })).toThrow(UsageError);
  });

  test('the command reads it, and says where a mistake lies', async () => {
    const told: string[] = [];
    const stream = () =>
      new Writable({
        write(chunk: Buffer, _, done) {
          told.push(chunk.toString());
          done();
        },
      });
    const run = (...args: string[]) => runProgram(args, { stdout: stream(), stderr: stream() });
    const wrong = fileOf('model: nowhere.gguf\nstesp: 3');
    expect(await run('train', '--config', wrong, '--out', join(root, 'run'))).toBe(1);
    expect(told.join('')).toMatch(/:2` but received "stesp"\. Did you mean `steps`\?\n$/);
    // The model of the file is what the command then looks for.
    const sound = fileOf('model: nowhere.gguf\nsteps: 3');
    expect(await run('train', '--config', sound, '--out', join(root, 'run'))).toBe(1);
    expect(told.at(-1)).toContain('nowhere.gguf');
  });
});
