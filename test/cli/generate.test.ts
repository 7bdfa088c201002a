import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeTinyModel } from '../support/tiny-model';
import { lsp, values } from './support';

let root: string;
let model: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'lsp-generate-'));
  model = writeTinyModel(join(root, 'model'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const base = () => ['generate', '--model', model, '--max-new-tokens', '8', '--seed', '3'];

describe('generate', () => {
  test('with --json prints an answer a line; stdin and --prompt are the same', async () => {
    const given = await lsp([...base(), '--json', '--samples', '2', '--prompt', 'Name three rivers.']);
    expect(given.code).toBe(0);
    const answers = values(given.stdout);
    expect(answers.map(({ sample }) => sample)).toEqual([0, 1]);
    expect(answers[0]!.tokens).not.toEqual(answers[1]!.tokens);
    for (const { tokens, logprobs } of answers as { tokens: number[]; logprobs: number[] }[]) {
      expect(logprobs).toHaveLength(tokens.length);
      expect(Math.max(...logprobs)).toBeLessThanOrEqual(0);
    }
    const piped = await lsp([...base(), '--json', '--samples', '2'], { stdin: 'Name three rivers.\n' });
    expect(piped.stdout).toBe(given.stdout);
  });

  test('streams one sample, the same text', async () => {
    const [answer] = values((await lsp([...base(), '--json', '--prompt', 'Hello'])).stdout);
    const { code, stdout } = await lsp([...base(), '--prompt', 'Hello']);
    expect(code).toBe(0);
    const printable = String(answer!.text).replace(/[^\P{Cc}\n\t]/gu, '');
    expect(stdout).toBe(`${printable}\n`);
  });

  test('--raw uses no chat template, and takes no roles', async () => {
    const raw = await lsp([...base(), '--json', '--raw', '--prompt', 'Hello']);
    const chat = await lsp([...base(), '--json', '--prompt', 'Hello']);
    expect(raw.stdout).not.toBe(chat.stdout);
    const refused = await lsp([...base(), '--raw', '--system', 'Be brief.', '--prompt', 'Hello']);
    expect(refused.code).toBe(2);
  });

  test.each([
    ['--top-p', '1.5', /`--top-p`.*1\.5/],
    ['--top-k', '-1', /`--top-k`/],
    ['--top-k', '999999999', /`--top-k`/],
    ['--temperature', '-1', /`--temperature`/],
    ['--samples', '0', /`--samples`/],
    ['--max-new-tokens', '999999', /`--max-new-tokens`/],
    ['--seed', '0.5', /`--seed`/],
    ['--threads', '0', /`--threads`/],
  ])('%s %s is a usage error', async (flag, value, message) => {
    const { code, stderr } = await lsp(['generate', '--model', model, '--prompt', 'x', flag, value]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(message) as string });
  });

  test('a model that is not there exits 1', async () => {
    const { code, stderr } = await lsp(['generate', '--model', join(root, 'nothing'), '--prompt', 'x']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^lsp: .*nothing: ENOENT/);
  });
});
