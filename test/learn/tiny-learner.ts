/** A Learner on a tiny random model, for the suites of the Learner. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Learner, type LearnerOptions } from '../../lib/learn/learner';
import { LanguageModel } from '../../lib/model/language-model';
import type { TrainingGroup } from '../../lib/model/types';
import { writeTinyModel } from '../support/tiny-model';

export const root = mkdtempSync(join(tmpdir(), 'lsp-learner-'));
export const source = writeTinyModel(join(root, 'tiny'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

export const NAME = 'model.layers.0.self_attn.q_proj.weight';
export const groups: TrainingGroup[] = [
  { prompt: Int32Array.of(5, 6, 7), completions: [Int32Array.of(8, 9), Int32Array.of(10)] },
  { prompt: Int32Array.of(11), completions: [Int32Array.of(12, 13, 2)] },
];
export const loss = [[Float32Array.of(-0.5, 0.25), Float32Array.of(1)], [Float32Array.of(0.1, -0.2, 0.3)]];

export async function withLearner(
  use: (learner: Learner, model: LanguageModel) => Promise<void>,
  options: LearnerOptions = {},
): Promise<void> {
  await using model = await LanguageModel.load(source, { threads: 1 });
  await using learner = await Learner.create(model, options);
  await use(learner, model);
}
