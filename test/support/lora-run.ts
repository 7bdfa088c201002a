/**
 * A short training of a fresh adapter, its bits as hashes: in a process of its own where the instruction set, which is
 * chosen once per process, is to be another one (arguments: the run as JSON; prints the hashes as JSON).
 */
import { createHash } from 'node:crypto';
import { LanguageModel, Learner } from '../../lib';
import { loadAddon } from '../../lib/native/load';
import { LORA_CASES, trainingOf } from './lora-model';

export interface LoraRun {
  path: string;
  threads: number;
  /** Bytes of activations of a micro-batch. */
  budget?: number;
  dtype?: 'f32' | 'bf16';
}

const hash = (values: Float32Array) =>
  createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');

/** Hashes of the adapter after three steps, of what is sampled with it, and of that as scored. */
export async function trainedBits({ path, threads, budget, dtype = 'f32' }: LoraRun): Promise<string[]> {
  const { groups, coefficients } = trainingOf(LORA_CASES['llama']!);
  await using model = await LanguageModel.load(path, { threads, dtype });
  await using learner = await Learner.create(model, {
    lora: { rank: 3, rsLora: true },
    learningRate: 1e-2,
    ...(budget !== undefined && { activationBudget: budget }),
  });
  for (let step = 0; step < 3; step++) {
    await learner.accumulate(groups, coefficients);
    await learner.step();
  }
  const names = model.parameterNames().filter((name) => name.includes('lora_'));
  const adapter = await Promise.all(names.map((name) => model.parameter(name)));
  const { prompt } = groups[0]!;
  const [[sample]] = (await model.generate([prompt], { maxNewTokens: 8, minNewTokens: 8 })) as [[never]];
  const { tokens, logprobs } = sample as { tokens: Int32Array; logprobs: Float32Array };
  const [scored] = await model.logprobs([Int32Array.from([...prompt, ...tokens])]);
  return [...adapter, logprobs, scored!].map(hash);
}

if (require.main === module) {
  const run = JSON.parse(process.argv[2]!) as LoraRun & { isa: string };
  const { active } = loadAddon().isa();
  if (active !== run.isa) throw new Error(`expected the instruction set ${run.isa} but it is ${active}`);
  void trainedBits(run).then((bits) => process.stdout.write(JSON.stringify(bits)));
}
