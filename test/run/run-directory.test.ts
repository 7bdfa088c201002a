import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, readdir, readFile, symlink, writeFile, appendFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { LspError } from '../../lib/errors';
import { fingerprintModel, verifyStartingModel } from '../../lib/model/fingerprint';
import { RunDirectory } from '../../lib/run/run-directory';
import {
  CONFIG,
  FakeLearner,
  FakeModel,
  remove,
  stepResult,
  systemError,
  temporaryDirectory,
  trainerState,
} from './support';

let root: string;
let out: string;
const model = new FakeModel();
const learner = new FakeLearner();

beforeEach(async () => {
  root = await temporaryDirectory();
  out = join(root, 'runs', 'first');
  model.failure = learner.failure = undefined;
});
afterEach(() => remove(root));

const read = (...names: string[]) => readFile(join(out, ...names), 'utf8');
const codeOf = async (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof LspError ? error.code : error),
  );
const saved = async (run: RunDirectory, step: number, keep = 2) => {
  model.weight = step;
  return run.saveCheckpoint({ model, learner, state: trainerState(step, ['a']) }, keep);
};

describe('a new run', () => {
  test('records steps and checkpoints, and resumes from the newest', async () => {
    const run = await RunDirectory.create(out, CONFIG);
    for (let step = 1; step <= 3; step++) await run.record(stepResult(step));
    await saved(run, 3);
    await run.close();

    expect(await readdir(join(out, 'checkpoints', 'step-000003'))).toEqual([
      'model',
      'optimizer.safetensors',
      'trainer.json',
    ]);
    expect(JSON.parse((await read('metrics.jsonl')).split('\n')[2]!)).toMatchObject({ step: 3, value: 0.3 });
    expect(await read('metrics.jsonl')).not.toContain('seconds');
    const resumed = await RunDirectory.resume(out);
    expect(resumed.checkpoint?.step).toBe(3);
    expect(resumed.state).toEqual(trainerState(3, ['a']));
    expect(resumed.run.config).toEqual(CONFIG);
    await resumed.run.close();
    expect(await readdir(out)).not.toContain('run.lock');
  });

  test.each([
    ['a file', async () => writeFile(out, 'x')],
    ['foreign files', async () => mkdir(join(out, 'thesis'), { recursive: true })],
    ['a run', async () => (await RunDirectory.create(out, CONFIG)).close()],
  ])('is refused where there is %s', async (_, prepare) => {
    await mkdir(join(root, 'runs'));
    await prepare();
    await expect(RunDirectory.create(out, CONFIG)).rejects.toThrow(
      /Expected a new or empty directory for `out`/,
    );
  });

  test('may be made in an empty directory', async () => {
    await mkdir(out, { recursive: true });
    await (await RunDirectory.create(out, CONFIG)).close();
  });
});

describe('checkpoints', () => {
  test('the last two and the best by the probe are kept', async () => {
    const run = await RunDirectory.create(out, CONFIG);
    for (const [step, score] of [
      [10, 0.2],
      [20, 0.9],
      [30, 0.3],
      [40, 0.9],
      [50, 0.1],
      [60, 0.1],
    ] as const) {
      await saved(run, step);
      await run.probes.append({ step, score, scores: [score], meanTokens: 9 });
    }
    expect((await run.checkpoints.list()).map(({ step }) => step)).toEqual([20, 50, 60]);
    expect((await run.bestProbe())?.step).toBe(20);
    await run.close();
  });

  test.each(['model', 'learner'] as const)(
    'a full disk in %s.save leaves the previous one intact',
    async (who) => {
      const run = await RunDirectory.create(out, CONFIG);
      await saved(run, 10, 1);
      ({ model, learner })[who].failure = systemError('ENOSPC');
      const error: unknown = await saved(run, 20, 1).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'IO_ERROR', message: expect.stringContaining('disk is full') });
      expect(await readdir(join(out, 'checkpoints'))).toEqual(['step-000010']);
      expect(await read('checkpoints', 'step-000010', 'model', 'model.safetensors')).toBe('10');
      await run.close();
    },
  );

  test("errors that are not the file system's pass as they are, without a trace", async () => {
    const run = await RunDirectory.create(out, CONFIG);
    model.failure = new LspError('DISPOSED', 'Expected a live model.');
    expect(await codeOf(saved(run, 1))).toBe('DISPOSED');
    expect(await readdir(join(out, 'checkpoints'))).toEqual([]);
    await run.close();
  });

  test('what a kill in the middle of a save or a deletion left is removed on resume', async () => {
    const run = await RunDirectory.create(out, CONFIG);
    await saved(run, 10);
    await run.close();
    await mkdir(join(out, 'checkpoints', '.step-000020.tmp', 'model'), { recursive: true });
    await mkdir(join(out, 'checkpoints', '.step-000005.deleted'));
    await writeFile(join(out, '.config.json.tmp'), '{');
    const resumed = await RunDirectory.resume(out);
    expect(resumed.checkpoint?.step).toBe(10);
    expect(await readdir(join(out, 'checkpoints'))).toEqual(['step-000010']);
    expect(await readdir(out)).not.toContain('.config.json.tmp');
    await resumed.run.close();
  });

  test.each(['model', 'optimizer.safetensors', 'trainer.json'])('one without %s is refused', async (name) => {
    const run = await RunDirectory.create(out, CONFIG);
    await saved(run, 10);
    await run.close();
    await remove(join(out, 'checkpoints', 'step-000010', name));
    expect(await codeOf(RunDirectory.resume(out))).toBe('INVALID_CHECKPOINT');
    expect(await readdir(out)).not.toContain('run.lock');
  });
});

describe('records', () => {
  test('are cut back to the checkpoint, torn last line included', async () => {
    const run = await RunDirectory.create(out, CONFIG);
    for (let step = 1; step <= 2; step++) await run.record(stepResult(step));
    await saved(run, 2);
    await run.probes.append({ step: 2, score: 1, scores: [1], meanTokens: 9 });
    const [metrics, samples] = [await read('metrics.jsonl'), await read('samples.jsonl')];
    await run.record(stepResult(3));
    await run.probes.append({ step: 3, score: 1, scores: [1], meanTokens: 9 });
    await run.close();
    await appendFile(join(out, 'metrics.jsonl'), '{"step":4,"val');
    const resumed = await RunDirectory.resume(out);
    expect(await read('metrics.jsonl')).toBe(metrics);
    expect(await read('samples.jsonl')).toBe(samples);
    expect((await resumed.run.probes.read()).map(({ step }) => step)).toEqual([2]);
    await resumed.run.record(stepResult(3));
    expect((await resumed.run.metrics.read()).map(({ step }) => step)).toEqual([1, 2, 3]);
    await resumed.run.close();
  });

  test('without a checkpoint a run resumes from its beginning', async () => {
    const run = await RunDirectory.create(out, CONFIG);
    await run.probes.append({ step: 0, score: 1, scores: [1], meanTokens: 9 });
    await run.record(stepResult(1));
    await run.close();
    const resumed = await RunDirectory.resume(out);
    expect(resumed).toMatchObject({ checkpoint: null, state: null });
    expect(await read('metrics.jsonl')).toBe('');
    expect(await resumed.run.probes.read()).toHaveLength(1);
    await resumed.run.close();
  });

  test('a full disk is an IO_ERROR', async () => {
    const run = await RunDirectory.create(out, CONFIG);
    await symlink('/dev/full', join(out, 'metrics.jsonl'));
    expect(await codeOf(run.metrics.append(stepResult(1).metrics))).toBe('IO_ERROR');
    await run.close();
  });
});

describe('the lock', () => {
  let child: ChildProcess | undefined;
  afterEach(() => child?.kill('SIGKILL'));

  test('keeps a second process out, and is given back', async () => {
    const run = await RunDirectory.create(out, CONFIG);
    await expect(RunDirectory.resume(out)).rejects.toThrow(`used by process ${process.pid}`);
    await run.close();
    await (await RunDirectory.resume(out)).run.close();
  });

  test('of a killed process is taken over; of a living one it is not', async () => {
    await (await RunDirectory.create(out, CONFIG)).close();
    child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)']);
    const owner = { pid: child.pid, host: hostname(), started: null };
    await writeFile(join(out, 'run.lock'), JSON.stringify(owner));
    await expect(RunDirectory.resume(out)).rejects.toThrow(`used by process ${child.pid}`);
    const gone = new Promise((resolve) => child!.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
    await (await RunDirectory.resume(out)).run.close();
  });

  test.each([
    [
      'a reused process id',
      JSON.stringify({ pid: process.pid, host: hostname(), started: 'another boot:1' }),
    ],
    ['a torn lock', '{"pi'],
  ])('%s is taken over', async (_, content) => {
    await (await RunDirectory.create(out, CONFIG)).close();
    await writeFile(join(out, 'run.lock'), content);
    await (await RunDirectory.resume(out)).run.close();
  });

  test('of another machine is believed', async () => {
    await (await RunDirectory.create(out, CONFIG)).close();
    await writeFile(join(out, 'run.lock'), JSON.stringify({ pid: 1, host: 'elsewhere', started: null }));
    await expect(RunDirectory.resume(out)).rejects.toThrow(/on elsewhere\. If that process is gone, remove/);
  });
});

describe('resume', () => {
  test.each([
    ['missing', undefined],
    ['not JSON', '{'],
    ['of another kind', '{"format":1}'],
  ])('is refused when config.json is %s', async (_, content) => {
    await mkdir(out, { recursive: true });
    if (content !== undefined) await writeFile(join(out, 'config.json'), content);
    expect(await codeOf(RunDirectory.resume(out))).toBe('INVALID_CHECKPOINT');
  });
});

describe('the model that a run started from', () => {
  test('may be a directory; a change, a missing file or a missing model is noticed', async () => {
    const path = join(root, 'model');
    await mkdir(path);
    await writeFile(join(path, 'config.json'), '{}');
    await writeFile(join(path, 'model.safetensors'), 'weights');
    await writeFile(join(path, 'README.md'), 'not part of the model');
    const source = await fingerprintModel(path);
    expect(source.files.map(({ file }) => file)).toEqual(['config.json', 'model.safetensors']);
    await writeFile(join(path, 'README.md'), 'changed');
    await verifyStartingModel(source);
    for (const name of ['chat_template.jinja', 'generation_config.json', 'model.safetensors.index.json']) {
      await writeFile(join(path, name), '{}');
      await expect(verifyStartingModel(source)).rejects.toThrow(`a new file ${name}`);
      await remove(join(path, name));
    }
    await writeFile(join(path, 'model.safetensors'), 'Weights');
    await expect(verifyStartingModel(source)).rejects.toMatchObject({ code: 'INVALID_CHECKPOINT' });
    await remove(join(path, 'model.safetensors'));
    await expect(verifyStartingModel(source)).rejects.toThrow('no file model.safetensors');
    await remove(path);
    await expect(verifyStartingModel(source)).rejects.toMatchObject({ code: 'INVALID_CHECKPOINT' });
  });
});
