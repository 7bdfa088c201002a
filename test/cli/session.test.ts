/** What a session does about failures, apart from a run: see train.test.ts for the whole. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { Output } from '../../lib/cli/output';
import { keepsSteps, runAll, trainRun } from '../../lib/cli/training/session';
import { LspError, type LspErrorCode } from '../../lib/errors';
import { LanguageModel } from '../../lib/model/language-model';
import { expectError, rejectionOf } from '../support/errors';
import { writeTinyModel } from '../support/tiny-model';

test.each<[LspErrorCode, boolean]>([
  ['REWARD_FAILED', true],
  ['PROMPT_TOO_LONG', true],
  ['INVALID_ARGUMENT', true],
  ['INTERNAL', true],
  ['TRAINING_DIVERGED', false],
  ['IO_ERROR', false],
  ['OUT_OF_MEMORY', false],
])('the steps before %s are kept: %s', (code, kept) => {
  expect(keepsSteps(new LspError(code, 'made up'))).toBe(kept);
});

test('so are those before an error of other code', () => expect(keepsSteps(new TypeError('x'))).toBe(true));

test('one failing cleanup leaves none of the others undone; the first failure is told', async () => {
  const done: number[] = [];
  const fail = (index: number) => async () => {
    done.push(index);
    throw new Error(`failure ${index}`);
  };
  const succeed = async () => void done.push(1);
  const synchronous = () => {
    done.push(3);
    throw new Error('failure 3');
  };
  await expect(runAll([fail(0), succeed, fail(2), synchronous, succeed])).rejects.toThrow('failure 0');
  expect(done).toEqual([0, 1, 2, 3, 1]);
  await expect(runAll([succeed])).resolves.toBeUndefined();
});

test('a run does not begin where the model has changed between the policy and the reference', async () => {
  const root = mkdtempSync(join(tmpdir(), 'lsp-session-'));
  const model = writeTinyModel(join(root, 'model'), { maxPositions: 4096 });
  const weights = join(model, 'model.safetensors');
  const load = LanguageModel.load.bind(LanguageModel);
  const spy = jest.spyOn(LanguageModel, 'load').mockImplementationOnce(async (...parameters) => {
    const policy = await load(...parameters);
    const bytes = readFileSync(weights);
    bytes[bytes.length - 4]! ^= 1; // the last bit of the last weight
    writeFileSync(weights, bytes);
    return policy;
  });
  const streams = { stdout: new PassThrough().resume(), stderr: new PassThrough().resume() };
  const given = {
    preset: 'zero',
    steps: 1,
    queries: 2,
    answers: 2,
    maxNewTokens: 8,
    queryTokens: 8,
    klBeta: 0.1,
    threads: 1,
  };
  const request = { model, out: join(root, 'run'), given };
  const error = await rejectionOf(trainRun(request, new Output({ json: false, streams })));
  expectError(error, 'INVALID_CHECKPOINT', /another model\.safetensors/);
  expect(spy).toHaveBeenCalledTimes(2);
  expect(existsSync(request.out)).toBe(false);
  spy.mockRestore();
  rmSync(root, { recursive: true });
});
