/** Every example runs as its header says, on a tiny random model. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

test.each(readdirSync(EXAMPLES).filter((name) => name.endsWith('.ts')))('%s', (name) => {
  const tsNode = require.resolve('ts-node/dist/bin.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [tsNode, join(EXAMPLES, name), model], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(stdout).not.toBe('');
  expect(status).toBe(0);
});
