/** Fakes of a model, a learner and a step, with weights that are one number. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RoleMetrics, StepResult, TrainerState } from '../../lib/lsp/types';
import type { RunConfig } from '../../lib/run/run-directory';

export async function temporaryDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'lsp-run-'));
}

export async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** A system error as fs throws it. */
export function systemError(code: string, syscall = 'write'): Error {
  return Object.assign(new Error(`${code}: made up for a test, ${syscall}`), { code, syscall, errno: -1 });
}

export class FakeModel {
  weight = 1;
  /** Thrown by the next save, after a part has been written. */
  failure: Error | undefined;

  async save(directory: string): Promise<void> {
    await mkdir(directory);
    await writeFile(join(directory, 'config.json'), '{}');
    if (this.failure) throw this.failure;
    await writeFile(join(directory, 'model.safetensors'), String(this.weight));
  }

  async load(directory: string): Promise<void> {
    this.weight = Number(await readFile(join(directory, 'model.safetensors'), 'utf8'));
  }
}

export class FakeLearner {
  moment = 0;
  failure: Error | undefined;

  async saveState(path: string): Promise<void> {
    await writeFile(path, String(this.moment));
    if (this.failure) throw this.failure;
  }

  async loadState(path: string): Promise<void> {
    this.moment = Number(await readFile(path, 'utf8'));
  }
}

export function trainerState(nextStep: number, history: string[] = []): TrainerState {
  return { format: 1, kind: 'lsp', nextStep, seed: '7', updates: nextStep, history, baseline: {} };
}

const ROLE: RoleMetrics = {
  samples: 2,
  reward: 0.5,
  rewardStd: 0.5,
  advantage: 0.5,
  kl: null,
  entropy: 1,
  length: 3,
  clippedShare: 0,
  loss: 0,
  ratioClippedShare: 0,
};

export function stepResult(step: number, value = step / 10): StepResult {
  return {
    step,
    metrics: {
      step,
      solver: ROLE,
      challenger: ROLE,
      value,
      quality: null,
      validQueries: 1,
      queries: 1,
      rejections: {},
      duplicateShare: 0,
      difficulty: null,
      zeroSignalGroups: 0,
      noSignal: null,
      updated: true,
      gradNorm: 1,
      learningRate: 1e-5,
      tokens: 12,
      seconds: {
        challenger: Math.random(),
        solver: 1,
        reward: 0,
        judge: 0,
        reference: 0,
        update: 1,
        total: 3,
      },
      warnings: [],
    },
    samples: [
      {
        written: 'Name a colour.',
        query: 'Name a colour. Use no commas.',
        rejected: null,
        info: {},
        value,
        advantage: 0,
        answers: [{ text: 'Blue', tokens: 2, finishReason: 'eos', reward: 1, quality: null, advantage: 0.5 }],
      },
    ],
  };
}

export const CONFIG: RunConfig = {
  format: 1,
  kind: 'lsp',
  createdAt: '2025-01-01T00:00:00.000Z',
  versions: { lsp: '0.1.0' },
  model: { path: '/models/some.gguf', files: [{ file: 'some.gguf', bytes: 1, sha256: '00' }] },
  options: { steps: 20 },
};
