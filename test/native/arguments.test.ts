/** Wrong arguments: an error with code INVALID_ARGUMENT that names the option, never a crash. */
import type { NativeAdamW, NativeLearner, NativeModel } from '../../lib/native/addon';
import { loadAddon } from '../../lib/native/load';
import {
  codeOf,
  handle,
  learnerOn,
  loadTiny,
  requests,
  sampling,
  tinySource,
  type TinySource,
} from '../support/native-model';

let tiny: TinySource;
let model: NativeModel;
let learner: NativeLearner;

beforeAll(async () => {
  tiny = tinySource();
  model = await loadTiny(tiny);
  learner = learnerOn(model);
});

afterAll(async () => {
  await model.dispose();
  tiny.remove();
});

const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) as string });

/** Values of every kind that is not a number. */
const NO_NUMBERS = [undefined, null, '3', 3n, {}, [], true, Symbol('x'), () => 3, NaN];

function detached(): Int32Array {
  const array = Int32Array.of(1, 2, 3);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
}

describe('constructors throw', () => {
  const { Model, Learner, Handle } = loadAddon();
  const construct = (change: Record<string, unknown>) => () =>
    new Model({ ...tiny.source.config, ...change }, { threads: 1 });

  test.each(['hiddenSize', 'numLayers', 'vocabSize', 'maxPositions', 'rmsNormEps', 'ropeTheta', 'headSize'])(
    'config.%s',
    (key) => {
      for (const value of [...NO_NUMBERS, -1, Infinity, 1e300]) {
        expect(construct({ [key]: value })).toThrow(refused(new RegExp(`\`config.${key}\``)));
      }
    },
  );

  test('the rest of the configuration', () => {
    expect(construct({ hiddenSize: 32.5 })).toThrow(refused(/`config.hiddenSize` but received 32.5/));
    expect(construct({ numHeads: 3 })).toThrow(refused(/heads/));
    expect(construct({ hiddenSize: 2 ** 31 })).toThrow(refused(/hidden size/));
    expect(construct({ tiedEmbeddings: 1 })).toThrow(refused(/`config.tiedEmbeddings` but received 1/));
    expect(construct({ ropeScaling: { factor: 2 } })).toThrow(refused(/`config.ropeScaling.lowFreqFactor`/));
    for (const config of NO_NUMBERS) {
      expect(() => new Model(config as never, { threads: 1 })).toThrow(refused(/config/));
    }
    for (const threads of [...NO_NUMBERS, 0, 257, 1.5]) {
      expect(() => new Model(tiny.source.config, { threads } as never)).toThrow(refused(/`options.threads`/));
    }
    expect(() => loadAddon().activationBytesPerToken({} as never, false)).toThrow(
      refused(/`config.hiddenSize`/),
    );
  });

  test('a Learner wants a Model and a budget', () => {
    for (const wrong of [undefined, {}, handle(), Object.create(Model.prototype), new Proxy(model, {})]) {
      expect(
        () => new Learner(wrong as never, { activationBudgetBytes: 1, gradientCheckpointing: false }),
      ).toThrow(refused(/a Model for `model`/));
    }
    for (const activationBudgetBytes of [...NO_NUMBERS, 0, -1, Infinity]) {
      expect(() => new Learner(model, { activationBudgetBytes } as never)).toThrow(
        refused(/activationBudgetBytes/),
      );
    }
  });

  test('calls without new and with a foreign this are refused', () => {
    expect(() => (Model as unknown as () => void)()).toThrow();
    expect(() => model.policyVersion.call(handle() as never)).toThrow();
    expect(() => Handle.prototype.abort.call(model as never)).toThrow();
    expect(() => handle().finish(-1)).toThrow(refused(/`sequence`/));
    expect(() => handle().finish('1' as never)).toThrow(refused(/`sequence`/));
  });
});

describe('generate', () => {
  const generate = (
    options: Record<string, unknown>,
    prompts: unknown = requests(1),
    on: unknown = handle(),
  ) => model.generate(prompts as never, sampling(options), on as never);

  test.each(['temperature', 'topK', 'topP', 'minNewTokens', 'maxNewTokens', 'maxBatch'])(
    'options.%s',
    async (key) => {
      for (const value of [...NO_NUMBERS, -1, Infinity]) {
        await expect(generate({ [key]: value })).rejects.toEqual(refused(new RegExp(`\`options.${key}\``)));
      }
    },
  );

  test('the rest of the options', async () => {
    await expect(generate({ topP: 0 })).rejects.toEqual(refused(/topP/));
    await expect(generate({ topP: 1.01 })).rejects.toEqual(refused(/topP/));
    await expect(generate({ maxBatch: 5000 })).rejects.toEqual(refused(/maxBatch/));
    await expect(generate({ seed: 1 })).rejects.toEqual(
      refused(/a bigint for `options.seed` but received 1/),
    );
    await expect(generate({ eosIds: [2] })).rejects.toEqual(
      refused(/an Int32Array for `options.eosIds` but received an array/),
    );
    await expect(generate({ onTokens: {} })).rejects.toEqual(refused(/onTokens/));
    expect(await codeOf(generate({ maxNewTokens: 2 ** 52 }))).toBe('PROMPT_TOO_LONG');
    const thrown = new Error('getter');
    const options = Object.defineProperty(sampling(), 'topK', {
      get() {
        throw thrown;
      },
    });
    await expect(model.generate(requests(1), options, handle())).rejects.toBe(thrown);
  });

  test('requests and handles', async () => {
    const request = (prompt: unknown, streamId: unknown = 0n) => generate({}, [{ prompt, streamId }]);
    for (const prompt of [
      ...NO_NUMBERS,
      new Float32Array(3),
      new Uint32Array(3),
      new ArrayBuffer(8),
      new DataView(new ArrayBuffer(8)),
    ]) {
      await expect(request(prompt)).rejects.toEqual(refused(/an Int32Array for `requests\[0\].prompt`/));
    }
    await expect(request(detached())).rejects.toEqual(refused(/transferred/));
    await expect(request(new Int32Array())).rejects.toEqual(refused(/at least one token/));
    await expect(request(Int32Array.of(-1))).rejects.toEqual(refused(/received -1/));
    await expect(request(Int32Array.of(288))).rejects.toEqual(refused(/received 288/));
    await expect(request(Int32Array.of(1), 0)).rejects.toEqual(
      refused(/a bigint for `requests\[0\].streamId`/),
    );
    await expect(generate({}, new Array(4e9))).rejects.toEqual(refused(/`requests\[0\]`/));
    for (const on of [...NO_NUMBERS, model, Object.create(Object.getPrototypeOf(handle()) as object)]) {
      await expect(model.generate(requests(1), sampling(), on as never)).rejects.toEqual(
        refused(/a Handle for `handle`/),
      );
    }
  });

  test('memory that is shared or a part of a buffer is read as it is', async () => {
    const { prompt } = requests(2)[1]!;
    const shared = new Int32Array(new SharedArrayBuffer(4 * (prompt.length + 2)), 4, prompt.length);
    shared.set(prompt);
    const [expected] = await generate({}, [{ prompt, streamId: 0n }]);
    const [actual] = await generate({}, [{ prompt: shared, streamId: 0n }]);
    expect(actual).toEqual(expected);
  });
});

describe('tensors', () => {
  const load = (change: Record<string, unknown>) =>
    model.loadTensors([{ ...tiny.source.tensors[0]!, ...change }], handle());

  test.each<[string, Record<string, unknown>, string]>([
    ['a name that is no parameter', { name: 'x' }, 'INVALID_ARGUMENT'],
    ['a path with a null character', { path: '/tmp/a\0b' }, 'INVALID_ARGUMENT'],
    ['a missing file', { path: '/nowhere/at/all' }, 'IO_ERROR'],
    ['a negative offset', { offset: -1 }, 'INVALID_ARGUMENT'],
    ['an offset beyond the file', { offset: 2 ** 53 - 1 }, 'INVALID_MODEL_FILE'],
    ['a length that does not fit the shape', { byteLength: 5 }, 'INVALID_MODEL_FILE'],
    ['an unknown type', { type: 'iq2_s' }, 'INVALID_ARGUMENT'],
    ['another type', { type: 'q4_1' }, 'INVALID_MODEL_FILE'],
    ['a transposed shape', { shape: [32, 288] }, 'INVALID_MODEL_FILE'],
    ['a shape that is a number', { shape: 3 }, 'INVALID_ARGUMENT'],
    ['rows that cannot be permuted', { ropePermuted: true }, 'INVALID_MODEL_FILE'],
  ])('%s', async (_, change, code) => {
    expect(await codeOf(load(change))).toBe(code);
  });

  test('values of the wrong length or kind', async () => {
    expect(await codeOf(model.writeTensor('model.norm.weight', new Float32Array(31)))).toBe(
      'INVALID_ARGUMENT',
    );
    expect(await codeOf(model.writeTensor('model.norm.weight', new Float64Array(32) as never))).toBe(
      'INVALID_ARGUMENT',
    );
    expect(await codeOf(model.readTensor('nobody'))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(model.saveSafetensors('/tmp/x', 'q4_0' as never, handle()))).toBe('INVALID_ARGUMENT');
  });
});

describe('scoring and training', () => {
  const tokens = Int32Array.of(5, 6, 7);
  const adamw: NativeAdamW = {
    learningRate: 0,
    beta1: 0.9,
    beta2: 0.999,
    eps: 1e-8,
    weightDecay: 0,
    maxGradNorm: 1,
  };

  test('scores are exact or in int8', async () => {
    const scores = (precision: unknown) =>
      model.logprobs([{ tokens, promptLength: 1 }], 1, handle(), precision as never);
    for (const precision of ['bf16', '', 8, null])
      expect(await codeOf(scores(precision))).toBe('INVALID_ARGUMENT');
    expect(await scores(undefined)).toEqual(await scores('exact'));
    expect(await scores('int8')).not.toEqual(await scores('exact'));
  });

  test('a temperature must leave the logits finite', async () => {
    for (const temperature of [...NO_NUMBERS, 0, -1, 1e-40, Infinity]) {
      await expect(
        model.logprobs([{ tokens, promptLength: 1 }], temperature as never, handle()),
      ).rejects.toEqual(refused(/temperature/));
      await expect(
        learner.accumulate(
          [{ tokens, promptLength: 1 }],
          [new Float32Array(2)],
          temperature as never,
          handle(),
        ),
      ).rejects.toEqual(refused(/temperature/));
    }
  });

  test('sequences need a prompt, a completion, and a gradient of the same length', async () => {
    const accumulate = (promptLength: number, gradient: unknown[]) =>
      learner.accumulate([{ tokens, promptLength }], gradient as never, 1, handle());
    expect(await codeOf(accumulate(0, [new Float32Array(3)]))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(accumulate(3, [new Float32Array(0)]))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(accumulate(2, [new Float32Array(2)]))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(accumulate(2, []))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(accumulate(2, [[1]]))).toBe('INVALID_ARGUMENT');
    for (const group of [-1, 1.5, '1', null, 2 ** 40]) {
      const sequence = { tokens, promptLength: 2, group: group as never };
      expect(await codeOf(learner.accumulate([sequence], [new Float32Array(1)], 1, handle()))).toBe(
        'INVALID_ARGUMENT',
      );
    }
    expect(await codeOf(model.nextLogprobs([tokens], Int32Array.of(1000), handle()))).toBe(
      'INVALID_ARGUMENT',
    );
  });

  test.each(['learningRate', 'beta1', 'beta2', 'eps', 'weightDecay', 'maxGradNorm'])(
    'step: options.%s',
    async (key) => {
      for (const value of [...NO_NUMBERS, -1]) {
        await expect(learner.step({ ...adamw, [key]: value })).rejects.toEqual(
          refused(new RegExp(`\`options.${key}\``)),
        );
      }
    },
  );

  test('adapters', async () => {
    const q = 'model.layers.0.self_attn.q_proj.weight';
    const shape = { rank: 2, alpha: 4, rsLora: false, matrices: [q] };
    const attach = (change: object, seed: unknown = 0n, tensors: unknown = []) =>
      codeOf(model.attachAdapter({ ...shape, ...change }, seed as never, tensors as never, handle()));
    for (const wrong of [
      ...[0, -1, 1.5, 5000, 2 ** 40, NaN, '2', undefined].map((rank) => ({ rank })),
      ...[NaN, Infinity, 1e300, '4', undefined].map((alpha) => ({ alpha })),
      ...['model.norm.weight', 'model.embed_tokens.weight', 'model.layers.0.self_attn.q_proj', ''].map(
        (name) => ({ matrices: [name] }),
      ),
      ...[[], [q, q], [3], q, undefined].map((matrices) => ({ matrices })),
    ]) {
      expect([wrong, await attach(wrong)]).toEqual([wrong, 'INVALID_ARGUMENT']);
    }
    expect(await attach({}, 3)).toBe('INVALID_ARGUMENT');
    expect(await attach({}, 0n, [{}])).toBe('INVALID_ARGUMENT');
    expect(await codeOf(model.clone('x' as never))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(model.mergeAdapter(handle()))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(model.saveAdapter('/nowhere', 'f32', handle()))).toBe('INVALID_ARGUMENT');
    expect(model.adapter()).toBeNull();
    // A name that a queued job was given may be gone when its turn comes.
    const loose = await model.clone();
    const attached = loose.attachAdapter(shape, 0n, [], handle());
    const name = 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight';
    const [merged, read] = [loose.mergeAdapter(handle()), codeOf(loose.readTensor(name))];
    await Promise.all([attached, merged]);
    expect(await read).toBe('INVALID_ARGUMENT');
    expect(loose.parameterNames()).toEqual(model.parameterNames());
    await loose.dispose();
  });

  test('step: values that floats cannot hold apart', async () => {
    for (const wrong of [
      { beta1: 1 },
      { beta2: 0.99999999999 },
      { eps: 0 },
      { eps: 1e-45 },
      { learningRate: Infinity },
      { maxGradNorm: 0 },
    ]) {
      expect(await codeOf(learner.step({ ...adamw, ...wrong }))).toBe('INVALID_ARGUMENT');
    }
    await learner.step({ ...adamw, maxGradNorm: Infinity });
  });
});
