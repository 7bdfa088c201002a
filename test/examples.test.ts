/** Every example runs as its header says, on a tiny random model. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel } from '../lib';
import { writeTinyModel } from './support/tiny-model';

const ROOT = join(__dirname, '..');
const EXAMPLES = join(ROOT, 'examples');
let root: string;
let model: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'lsp-examples-'));
  // The Challenger's prompt has a few hundred tokens of single bytes.
  model = writeTinyModel(join(root, 'model'), { maxPositions: 4096 });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** An example as a process of its own. */
function run(...argv: string[]) {
  const tsNode = require.resolve('ts-node/dist/bin.js');
  return spawnSync(process.execPath, [tsNode, ...argv], { cwd: ROOT, encoding: 'utf8' });
}

test.each(readdirSync(EXAMPLES).filter((name) => name.endsWith('.ts')))('%s', (name) => {
  const { status, stdout, stderr } = run(join(EXAMPLES, name), model);
  expect(stderr).toBe('');
  expect(stdout).not.toBe('');
  expect(status).toBe(0);
});

test('the recipe of the bundled model, for two steps', async () => {
  const out = join(root, 'made');
  const { status, stdout, stderr } = run(join(EXAMPLES, 'tiny-model', 'pretrain.ts'), out, '2');
  expect(stderr).toContain('2/2 steps');
  expect(stdout).toContain('pass@16');
  expect(status).toBe(0);
  await using made = await LanguageModel.load(out);
  await using bundled = await LanguageModel.load('tiny');
  expect(made.config).toEqual(bundled.config);
  for (const file of ['tokenizer.json', 'tokenizer_config.json', 'config.json'])
    expect(readFileSync(join(out, file), 'utf8')).toBe(readFileSync(join(ROOT, 'models/tiny', file), 'utf8'));
});
