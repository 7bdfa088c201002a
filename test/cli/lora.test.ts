/** LoRA on the command line: a run of an adapter, resumed bit for bit, and what can be done with what it leaves. */
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel } from '../../lib';
import { writeTinyModel } from '../support/tiny-model';
import { lsp, values } from './support';

/** Different answers score differently; the tiny model satisfies no constraint on purpose. */
const REWARD = `
module.exports = { score: async (samples) => samples.map(({ answer }) => new Set(answer).size / 20) };
`;

const root = mkdtempSync(join(tmpdir(), 'lsp-cli-lora-'));
const model = writeTinyModel(join(root, 'model'), { maxPositions: 4096 });
writeFileSync(join(root, 'reward.js'), REWARD);
afterAll(() => rmSync(root, { recursive: true, force: true }));

const run = (out: string, steps: number, ...more: string[]) =>
  lsp([
    ...['train', '--model', model, '--out', join(root, out), '--reward', join(root, 'reward.js')],
    ...['--steps', String(steps), '--checkpoint-every', '2', '--probe-size', '3', '--preset', 'zero'],
    ...['--queries', '6', '--answers', '3', '--max-new-tokens', '12', '--query-tokens', '40'],
    ...['--threads', '1', '--memory-budget', '16MiB', '--learning-rate', '1e-2'],
    ...['--lora-rank', '4', '--lora-targets', 'q,v,down', ...more],
  ]);
const digest = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
const checkpoint = (out: string, step: number) =>
  join(root, out, 'checkpoints', `step-${String(step).padStart(6, '0')}`);
const outcome = (out: string, step: number) => ({
  metrics: readFileSync(join(root, out, 'metrics.jsonl'), 'utf8'),
  samples: readFileSync(join(root, out, 'samples.jsonl'), 'utf8'),
  adapter: digest(join(checkpoint(out, step), 'adapter', 'adapter_model.safetensors')),
  moments: digest(join(checkpoint(out, step), 'optimizer.safetensors')),
});

let whole: ReturnType<typeof values>;
beforeAll(async () => {
  const { code, stdout, stderr } = await run('whole', 4, '--json');
  if (code !== 0) throw new Error(stderr);
  whole = values(stdout);
});

test('a run trains and keeps the adapter alone', async () => {
  const kept = checkpoint('whole', 4);
  expect(readdirSync(kept).sort()).toEqual(['adapter', 'optimizer.safetensors', 'trainer.json']);
  expect(values(outcome('whole', 4).metrics).some(({ updated }) => updated === true)).toBe(true);
  const settings = JSON.parse(readFileSync(join(kept, 'adapter', 'adapter_config.json'), 'utf8')) as object;
  expect(settings).toMatchObject({
    r: 4,
    lora_alpha: 8,
    target_modules: ['q_proj', 'v_proj', 'down_proj'],
    base_model_name_or_path: model,
  });
  await using base = await LanguageModel.load(model, { adapter: join(kept, 'adapter') });
  const b = base.parameterNames().filter((name) => name.includes('lora_B'));
  for (const name of b) expect((await base.parameter(name)).some((value) => value !== 0)).toBe(true);
  const { memory, checkpointBytes } = whole.find(({ event }) => event === 'preflight') as unknown as {
    memory: Record<string, number>;
    checkpointBytes: number;
  };
  expect(checkpointBytes).toBe(3 * 4 * base.adapter!.parameterCount);
  const files = ['adapter/adapter_model.safetensors', 'optimizer.safetensors'];
  const stored = files.reduce((sum, file) => sum + statSync(join(kept, file)).size, 0);
  expect(stored).toBeGreaterThan(checkpointBytes);
  expect(stored).toBeLessThan(checkpointBytes + 16_000); // two headers
  // The reference is the base itself, and there are moments of the adapter alone.
  expect(memory).toMatchObject({ reference: 0, moments: 2 * memory['gradients']! });
  expect(memory['weights']! + 2 * memory['gradients']!).toBeLessThan(3 * memory['weights']!);
  expect(whole.at(-1)).toMatchObject({ event: 'end', model, adapter: join(kept, 'adapter') });
});

test('a resumed run is the uninterrupted one, bit for bit', async () => {
  expect((await run('half', 2)).code).toBe(0);
  const resumed = await lsp(['train', '--resume', join(root, 'half'), '--steps', '4']);
  expect(resumed.code).toBe(0);
  expect(outcome('half', 4)).toEqual(outcome('whole', 4));
  expect(resumed.stdout).toMatch(/Merge: +npx lsp export --model .* --adapter .*adapter --out merged/);
});

test('the base may be held in bf16', async () => {
  expect((await run('narrow', 2, '--lora-base', 'bf16', '--lora-scaling', 'rslora')).code).toBe(0);
  expect(existsSync(join(checkpoint('narrow', 2), 'adapter'))).toBe(true);
  expect(outcome('narrow', 2).adapter).not.toBe(outcome('whole', 4).adapter);
});

test('the adapter answers, and is exported into a model that answers the same', async () => {
  const adapter = join(checkpoint('whole', 4), 'adapter');
  const ask = async (...source: string[]) => {
    const asked = ['--prompt', 'Hello', '--temperature', '0', '--max-new-tokens', '6', '--json'];
    const { code, stdout, stderr } = await lsp(['generate', ...source, ...asked]);
    expect([code, stderr]).toEqual([0, '']);
    return values(stdout)[0]! as { tokens: number[]; logprobs: number[] };
  };
  const merged = join(root, 'merged');
  const exported = await lsp(['export', '--model', model, '--adapter', adapter, '--out', merged, '--json']);
  expect(exported.code).toBe(0);
  const [{ largestDifference }] = values(exported.stdout) as [{ largestDifference: number }];
  expect(largestDifference).toBeLessThan(1e-4); // rounding of sums of some 100 terms
  const [with_, without, after] = [
    await ask('--model', model, '--adapter', adapter),
    await ask('--model', model),
    await ask('--model', merged),
  ];
  expect(with_.logprobs).not.toEqual(without.logprobs);
  expect(after.tokens).toEqual(with_.tokens);
  after.logprobs.forEach((value, i) => expect(value).toBeCloseTo(with_.logprobs[i]!, 3));
  const chat = await lsp(
    ['chat', '--model', model, '--adapter', adapter, '--max-new-tokens', '4', '--json'],
    {
      stdin: 'Hello\n',
    },
  );
  expect(chat.code).toBe(0);
});

test.each([
  [['--lora-targets', 'q,w'], /for `--lora-targets` but received "w"/],
  [['--lora-rank', '0'], /1 to 4096 for `--lora-rank`/],
  [['--lora-scaling', 'big'], /lora-scaling/],
])('refuses %j', async (flags, message) => {
  const { code, stderr } = await run('never', 2, ...flags);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
  expect(existsSync(join(root, 'never'))).toBe(false);
});

test('refuses options of LoRA without a rank, and an adapter that is none', async () => {
  const { code, stderr } = await lsp(['train', '--model', model, '--lora-alpha', '8']);
  expect(code).toBe(2);
  expect(stderr).toMatch(/nothing without `--lora-rank` for `--lora-alpha`/);
  const generate = await lsp(['generate', '--model', model, '--adapter', model, '--prompt', 'x']);
  expect(generate.code).toBe(1);
  expect(generate.stderr).toMatch(/no adapter_config\.json/);
});
