/**
 * How processes and worker threads end with models in them: promptly and without a crash. Each test runs a script of
 * its own in a child process, with the addon and the model given as `setup`.
 */
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { SLOW_MODEL, tinySource, type TinySource } from '../support/native-model';

let slow: TinySource;

beforeAll(() => {
  slow = tinySource(SLOW_MODEL);
});

afterAll(() => slow.remove());

interface Ending {
  status: number | null;
  signal: string | null;
  output: string;
  seconds: number;
}

/** Starts a script after definitions of `addon`, `load()`, `generate(model, onTokens)` and `train(model, loss)`. */
function run(script: string, flags: string[] = []): Promise<Ending> {
  const setup = `
    const { workerData, Worker, isMainThread } = require('node:worker_threads');
    const root = ${JSON.stringify(resolve(__dirname, '../..'))};
    const source = ${JSON.stringify({ config: slow.source.config, tensors: slow.source.tensors })};
    const addon = require(require.resolve('node-gyp-build', { paths: [root] }))(root);
    async function load() {
      const model = new addon.Model(source.config, { threads: 2 });
      await model.loadTensors(source.tensors, new addon.Handle());
      return model;
    }
    // A model whose embedding takes 64 MB.
    let values;
    async function loadLarge() {
      const model = new addon.Model({ ...source.config, vocabSize: 2 ** 19, numLayers: 1 }, { threads: 2 });
      values ??= new Float32Array(2 ** 24).fill(0.01);
      for (const name of model.parameterNames()) {
        await model.writeTensor(name, values.subarray(0, model.parameterShape(name).reduce((a, b) => a * b, 1)));
      }
      return model;
    }
    const generate = (model, onTokens) => model.generate(
      [{ prompt: Int32Array.of(5, 6, 7), streamId: 0n }],
      { temperature: 1, topK: 0, topP: 1, minNewTokens: 0, maxNewTokens: 60000, seed: 1n, maxBatch: 8,
        eosIds: new Int32Array(), onTokens }, new addon.Handle());
    const train = (model, loss) => {
      const learner = new addon.Learner(model, { activationBudgetBytes: 1e6, gradientCheckpointing: false });
      return learner.accumulate([{ tokens: Int32Array.of(1, 2, 3), promptLength: 1 }], loss, 1, new addon.Handle());
    };
  `;
  const start = performance.now();
  return new Promise((done) => {
    const child = spawn(process.execPath, [...flags, '-e', setup + script], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (text: Buffer) => (output += text.toString()));
    child.stderr.on('data', (text: Buffer) => (output += text.toString()));
    // A hang would otherwise look like a slow test.
    const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      done({ status, signal, output, seconds: (performance.now() - start) / 1000 });
    });
  });
}

/** A generation runs for minutes: an end within seconds is one that did not wait for it. */
const PROMPT_SECONDS = 20;

async function expectEnd(ending: Promise<Ending>, status: number, output: string): Promise<void> {
  const end = await ending;
  expect(end).toMatchObject({ status, signal: null, output });
  expect(end.seconds).toBeLessThan(PROMPT_SECONDS);
}

test('an idle model does not keep the process alive', () =>
  expectEnd(
    run(`load().then(async (model) => { await model.logprobs([{ tokens: Int32Array.of(1, 2), promptLength: 1 }], 1, new addon.Handle());
    new addon.Learner(model, { activationBudgetBytes: 1e6, gradientCheckpointing: false }); console.log('idle'); });`),
    0,
    'idle\n',
  ));

test('a pending promise does keep it alive', () =>
  expectEnd(
    run(`load().then((model) => model.readTensor('model.norm.weight')).then((t) => console.log(t.length));`),
    0,
    '32\n',
  ));

test('process.exit while generating', () =>
  expectEnd(
    run(`load().then((model) => generate(model, () => { console.log('out'); process.exit(3); }));`),
    3,
    'out\n',
  ));

test('process.exit with operations queued', () =>
  expectEnd(
    run(`load().then((model) => {
    for (let i = 0; i < 5; i += 1) generate(model, () => {});
    addon.kernels.swiglu(new Float32Array(1000), new Float32Array(1000));
    setTimeout(() => process.exit(4), 300);
  });`),
    4,
    '',
  ));

test('an uncaught exception while generating', async () => {
  const end = await run(
    `load().then((model) => { generate(model); setTimeout(() => { throw new Error('boom'); }, 100); });`,
  );
  expect(end).toMatchObject({ status: 1, signal: null, output: expect.stringContaining('boom') as string });
  expect(end.seconds).toBeLessThan(PROMPT_SECONDS);
});

test.each([
  ['process.exit', 'process.exit(5)', 5, ''],
  ['a throw and process.exit after it', 'setImmediate(() => process.exit(6)); throw 0', 6, ''],
])('%s while a loss is asked for', (_, action, status, output) =>
  expectEnd(
    run(`load().then((model) => { train(model, () => { ${action}; }).catch(() => {}); generate(model); });`),
    status,
    output,
  ),
);

test('process.exit while a loss waits to be asked for', () =>
  expectEnd(
    run(`load().then((model) => {
    train(model, () => console.log('asked'));
    for (const start = performance.now(); performance.now() - start < 1000; );
    process.exit(7);
  });`),
    7,
    '',
  ));

/** Three worker threads, each ended some time after its first message. @param body what they run, beside the addon */
const terminatedWorkers = (body: string) =>
  expectEnd(
    run(`
      const code = \`
        const { parentPort } = require('node:worker_threads');
        const source = \${JSON.stringify(source)};
        const addon = require(\${JSON.stringify(require.resolve('node-gyp-build', { paths: [root] }))})(\${JSON.stringify(root)});
        ${body}\`;
      let left = 3;
      for (let i = 0; i < 3; i += 1) {
        const worker = new Worker(code, { eval: true });
        worker.once('message', () => setTimeout(() => worker.terminate(), 20 * i));
        worker.on('error', (error) => console.log(error));
        worker.on('exit', () => { left -= 1; if (left === 0) console.log('all ended'); });
      }`),
    0,
    'all ended\n',
  );

test.each([
  ['within it', "() => { parentPort.postMessage('asked'); for (;;); }", 'undefined'],
  ['before it is called', '() => {}', "parentPort.postMessage('busy'); for (;;)"],
  ['when it has thrown', "() => { parentPort.postMessage('asked'); throw 0; }", 'undefined'],
  ['when it was called often', "() => { parentPort.postMessage('asked'); return again(); }", 'undefined'],
])('worker threads terminated while a loss is asked for, %s', (_, loss, then) =>
  terminatedWorkers(`
        const load = \${load}; const train = \${train};
        load().then((model) => {
          const again = () => { train(model, ${loss}).catch(() => {}); return [new Float32Array(2)]; };
          again(); again();
          ${then};
        });`),
);

test.each([
  ['a callback', '() => {}'],
  ['a callback that never returns', '() => { parentPort.postMessage("busy"); for (;;); }'],
])('worker threads terminated while generating with %s', (_, onTokens) =>
  terminatedWorkers(`
        const load = \${load}; const generate = \${generate};
        load().then((model) => {
          generate(model, ${onTokens});
          generate(model);
          setTimeout(() => parentPort.postMessage('started'), 50);
        });`),
);

test('a worker thread terminated while it makes and drops models', () =>
  expectEnd(
    run(`
      const code = \`
        const { parentPort } = require('node:worker_threads');
        const source = \${JSON.stringify(source)};
        const addon = require(\${JSON.stringify(require.resolve('node-gyp-build', { paths: [root] }))})(\${JSON.stringify(root)});
        parentPort.postMessage('started');
        for (;;) {
          const model = new addon.Model(source.config, { threads: 2 });
          model.loadTensors(source.tensors, new addon.Handle()).catch(() => {});
          try { model.parameterShape('nobody'); } catch {}
          model.dispose();
        }\`;
      const worker = new Worker(code, { eval: true });
      worker.once('message', () => setTimeout(() => worker.terminate(), 150));
      worker.on('exit', () => console.log('ended'));`),
    0,
    'ended\n',
  ));

test('models that nobody disposes are collected: their memory counts', async () => {
  // 30 models of 64 MB that nobody keeps; if the garbage collector did not know, they would take 1.9 GB.
  const end = await run(`(async () => {
    let peak = 0;
    for (let i = 0; i < 30; i += 1) {
      await loadLarge();
      peak = Math.max(peak, process.memoryUsage().rss);
    }
    console.log(peak < 1e9 ? 'bounded' : peak);
  })();`);
  expect(end).toMatchObject({ status: 0, output: 'bounded\n' });
});

test('collected while other operations run, with learners on them', async () => {
  // Weights, both parts of the gradient and moments: 320 MB a round.
  const end = await run(
    `(async () => {
      const adamw = { learningRate: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, maxGradNorm: 1 };
      for (let i = 0; i < 5; i += 1) {
        const learner = new addon.Learner(await loadLarge(), { activationBudgetBytes: 1e6, gradientCheckpointing: false });
        const sequence = { tokens: Int32Array.of(1, 2, 3), promptLength: 1 };
        await learner.accumulate([sequence], [Float32Array.of(1, 1)], 1, new addon.Handle());
        await learner.step(adamw);
        generate(await load(), () => { throw 0; }).catch(() => {});
        gc();
        await new Promise(setImmediate);
      }
      gc();
      setTimeout(() => console.log(process.memoryUsage().rss < 6e8 ? 'collected' : process.memoryUsage().rss), 100);
    })();`,
    ['--expose-gc'],
  );
  expect(end).toMatchObject({ status: 0, output: 'collected\n' });
});
