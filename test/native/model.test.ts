import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { NativeModel } from '../../lib/native/addon';
import { loadAddon } from '../../lib/native/load';
import { openModelSource } from '../../lib/model/formats';
import {
  bits,
  codeOf,
  handle,
  joined,
  loadTiny,
  requests,
  sampling,
  SLOW_MODEL,
  tinySource,
  type TinySource,
} from '../support/native-model';

let tiny: TinySource;
let model: NativeModel;

beforeAll(async () => {
  tiny = tinySource();
  model = await loadTiny(tiny);
});

afterAll(async () => {
  await model.dispose();
  tiny.remove();
});

describe('weights', () => {
  test('names, shapes and what is missing, before and after loading', async () => {
    const fresh = new (loadAddon().Model)(tiny.source.config, { threads: 1 });
    expect(fresh.missingTensors()).toEqual(fresh.parameterNames());
    expect(fresh.weightBytes()).toBe(0);
    expect(await codeOf(fresh.generate(requests(1), sampling(), handle()))).toBe('INVALID_MODEL_FILE');
    await fresh.loadTensors(tiny.source.tensors.slice(1), handle());
    expect(fresh.missingTensors()).toEqual([tiny.source.tensors[0]!.name]);
    await fresh.dispose();
    expect(model.missingTensors()).toEqual([]);
    for (const { name, shape } of tiny.source.tensors) expect(model.parameterShape(name)).toEqual(shape);
    expect(() => model.parameterShape('nobody')).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  test('a written tensor reads back, changes the version, and leaves a clone as it was', async () => {
    const name = 'model.layers.1.mlp.down_proj.weight';
    const own = await loadTiny(tiny);
    const before = await own.readTensor(name);
    const frozen = await own.clone();
    const version = own.policyVersion();
    const values = before.map((value, index) => value + index);
    const written = own.writeTensor(name, values);
    values.fill(0); // inputs are copied before the call returns
    await written;
    expect(own.policyVersion()).toBe(version + 1);
    expect(await own.readTensor(name)).toEqual(before.map((value, index) => value + index));
    expect(frozen.policyVersion()).toBe(version);
    await own.dispose();
    expect(await frozen.readTensor(name)).toEqual(before);
    await frozen.dispose();
  });

  test('saved and opened again, the weights are the same bits', async () => {
    const path = join(tiny.directory, 'model.safetensors');
    const name = 'model.embed_tokens.weight';
    const before = await model.readTensor(name);
    await model.saveSafetensors(path, 'f32', handle());
    const again = new (loadAddon().Model)(tiny.source.config, { threads: 1 });
    await again.loadTensors(openModelSource(tiny.directory).tensors, handle());
    expect(bits(await again.readTensor(name))).toEqual(bits(before));
    await again.dispose();
  });

  test('a save that fails or is aborted leaves nothing behind', async () => {
    const aborted = handle();
    aborted.abort();
    const path = join(tiny.directory, 'never.safetensors');
    expect(await codeOf(model.saveSafetensors(path, 'f32', aborted))).toBe('ABORTED');
    expect(await codeOf(model.saveSafetensors(join(tiny.directory, 'no', 'x'), 'f32', handle()))).toBe(
      'IO_ERROR',
    );
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(tiny.directory).filter((file) => file.includes('.tmp'))).toEqual([]);
  });
});

describe('generate', () => {
  test('the same request gives the same tokens, in any batch and with any number of threads', async () => {
    const all = requests(5);
    const together = await model.generate(all, sampling(), handle());
    const two = await loadTiny(tiny, 2);
    const others = await two.generate([...all].reverse(), sampling({ maxBatch: 2 }), handle());
    await two.dispose();
    expect(others.reverse()).toEqual(together);
    for (const [index, request] of all.entries()) {
      const [alone] = await model.generate([request], sampling(), handle());
      expect(alone!.tokens).toEqual(together[index]!.tokens);
      expect(bits(alone!.logprobs)).toEqual(bits(together[index]!.logprobs));
    }
    const [reseeded] = await model.generate([all[0]!], sampling({ seed: 8n }), handle());
    expect(reseeded!.tokens).not.toEqual(together[0]!.tokens);
  });

  test('seeds and streams count modulo 2^64', async () => {
    const { prompt } = requests(1)[0]!;
    const draw = async (seed: bigint, streamId: bigint) =>
      (await model.generate([{ prompt, streamId }], sampling({ seed }), handle()))[0]!.tokens;
    expect(await draw(2n ** 64n + 7n, -1n)).toEqual(await draw(7n, 2n ** 64n - 1n));
  });

  test('its log-probabilities are those of logprobs and nextLogprobs, bit for bit', async () => {
    const all = requests(4);
    const completions = await model.generate(all, sampling(), handle());
    const sequences = all.map(({ prompt }, index) => joined(prompt, completions[index]!.tokens));
    const whole = sequences.map((tokens) => ({ tokens, promptLength: 1 }));
    const scored = await model.logprobs(whole, 1, handle());
    const answers = all.map(({ prompt }, index) => ({
      tokens: sequences[index]!,
      promptLength: prompt.length,
    }));
    const { logprobs } = await model.logprobs(answers, 1, handle());
    for (const [index, { prompt }] of all.entries()) {
      expect(scored.logprobs[index]!).toHaveLength(sequences[index]!.length - 1);
      expect(bits(logprobs[index]!)).toEqual(bits(completions[index]!.logprobs));
      expect(bits(scored.logprobs[index]!.slice(prompt.length - 1))).toEqual(
        bits(completions[index]!.logprobs),
      );
      expect(bits(scored.entropies[index]!.slice(prompt.length - 1))).toEqual(
        bits(completions[index]!.entropies),
      );
    }
    const candidates = Int32Array.of(9, completions[1]!.tokens[0]!);
    const next = await model.nextLogprobs(
      all.map(({ prompt }) => prompt),
      candidates,
      handle(),
    );
    expect(bits(next[1]!)[1]).toBe(bits(completions[1]!.logprobs)[0]);
  });

  test('nothing asked, nothing done', async () => {
    expect(await model.generate([], sampling(), handle())).toEqual([]);
    expect(await model.logprobs([], 1, handle())).toEqual({ logprobs: [], entropies: [] });
  });
});

describe('streaming', () => {
  test('every token arrives once, in order, before the promise settles', async () => {
    const streamed: number[][] = requests(5).map(() => []);
    let settled = false;
    const onTokens = (sequences: Int32Array, tokens: Int32Array) => {
      expect(settled).toBe(false);
      expect(tokens).toHaveLength(sequences.length);
      sequences.forEach((sequence, index) => streamed[sequence]!.push(tokens[index]!));
    };
    const completions = await model.generate(requests(5), sampling({ onTokens, maxBatch: 2 }), handle());
    settled = true;
    expect(streamed).toEqual(completions.map(({ tokens }) => [...tokens]));
  });

  test('finish ends one sequence, the others go on', async () => {
    const steering = handle();
    const onTokens = (sequences: Int32Array) => {
      if (sequences.includes(1)) steering.finish(1);
    };
    const slow = tinySource({ ...SLOW_MODEL, numLayers: 16 });
    const slowModel = await loadTiny(slow);
    const options = sampling({ onTokens, eosIds: new Int32Array(), maxNewTokens: 80 });
    const completions = await slowModel.generate(requests(3), options, steering);
    await slowModel.dispose();
    slow.remove();
    expect(completions.map(({ finishReason }) => finishReason)).toEqual(['length', 'stop', 'length']);
    expect(completions[1]!.tokens.length).toBeLessThan(80);
  });

  test.each([new Error('from the callback'), 5, undefined])(
    'what it throws (%p) rejects the call',
    async (thrown) => {
      let calls = 0;
      const onTokens = () => {
        calls += 1;
        // eslint-disable-next-line @typescript-eslint/only-throw-error -- people do
        throw thrown;
      };
      await expect(model.generate(requests(2), sampling({ onTokens }), handle())).rejects.toBe(thrown);
      expect(calls).toBe(1);
      await model.generate(requests(1), sampling(), handle());
    },
  );
});

describe('abort and dispose', () => {
  let slow: TinySource;
  let slowModel: NativeModel;
  const long = () => sampling({ eosIds: new Int32Array(), maxNewTokens: 60_000, onTokens: () => started() });
  let started = () => {};

  beforeAll(() => {
    slow = tinySource(SLOW_MODEL);
  });

  beforeEach(async () => {
    slowModel = await loadTiny(slow);
  });

  afterEach(() => slowModel.dispose());
  afterAll(() => slow.remove());

  test('an abort midway rejects soon, and the model goes on working', async () => {
    const stopping = handle();
    started = () => stopping.abort();
    const start = performance.now();
    expect(await codeOf(slowModel.generate(requests(1), long(), stopping))).toBe('ABORTED');
    // Unaborted it takes ten times as long or more; an abort is polled once per layer.
    expect(performance.now() - start).toBeLessThan(2000);
    await slowModel.generate(requests(1), sampling({ maxNewTokens: 2 }), handle());
  });

  test('dispose waits for the operation under way and rejects the queued ones', async () => {
    const settled: string[] = [];
    const note = (name: string) => (error?: { code?: string }) =>
      settled.push(`${name} ${error?.code ?? 'done'}`);
    const options = sampling({ eosIds: new Int32Array(), maxNewTokens: 100, onTokens: () => started() });
    let disposed: Promise<void>[] = [];
    started = () => {
      if (disposed.length === 0) disposed = [slowModel.dispose(), slowModel.dispose()];
    };
    const running = slowModel
      .generate(requests(1), options, handle())
      .then(() => note('running')(), note('running'));
    const queued = slowModel.readTensor('model.norm.weight').then(() => note('queued')(), note('queued'));
    await Promise.all([running, queued]);
    await Promise.all(disposed);
    expect(settled).toEqual(['running done', 'queued DISPOSED']);
    await slowModel.dispose();
    expect(await codeOf(slowModel.clone())).toBe('DISPOSED');
    expect(await codeOf(slowModel.generate(null as never, null as never, null as never))).toBe('DISPOSED');
    for (const call of [() => slowModel.policyVersion(), () => slowModel.missingTensors()]) {
      expect(call).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
    }
  });

  test('dispose gives the memory back at once', async () => {
    // A vocabulary of which the embedding takes 64 MB: large blocks go back to the system when freed.
    const config = { ...tiny.source.config, vocabSize: 2 ** 19 };
    const large = new (loadAddon().Model)(config, { threads: 1 });
    await large.writeTensor(
      'model.embed_tokens.weight',
      new Float32Array(2 ** 19 * config.hiddenSize).fill(1),
    );
    const bytes = large.weightBytes();
    expect(bytes).toBe(2 ** 26);
    const rss = process.memoryUsage().rss;
    await large.dispose();
    // Half: other things in the process come and go.
    expect(rss - process.memoryUsage().rss).toBeGreaterThan(0.5 * bytes);
  });
});
