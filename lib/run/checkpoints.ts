/**
 * The checkpoints of a run: one directory each, complete or not there at all.
 *
 *     checkpoints/step-000010/model/                  a Hugging Face directory, or for a LoRA run
 *     checkpoints/step-000010/adapter/                a PEFT directory, on the model that the run started from
 *     checkpoints/step-000010/optimizer.safetensors   AdamW's moments and step count
 *     checkpoints/step-000010/trainer.json            the trainer's state
 *
 * A checkpoint is made under a name that begins with a dot, flushed to the disk, and renamed. An old one is renamed
 * to such a name before it is deleted, so that a kill in the middle of either leaves nothing that looks complete.
 */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LspError } from '../errors';
import { isRecord } from '../options';
import type { TrainerState } from '../lsp/types';
import { fsyncPath, fsyncTree, namesIn, prettyJson, statusOf, toIoError, withIoErrors } from '../disk/files';

/** What a checkpoint needs of a model: a Hugging Face directory of it, or a PEFT directory of its adapter. */
export interface SavableModel {
  /** The adapter alone is trained and saved, where there is one. */
  readonly adapter?: object | null;
  save(directory: string): Promise<void>;
  saveAdapter?(directory: string): Promise<void>;
}

/** What a checkpoint needs of a learner: its moments in one file. */
export interface SavableLearner {
  saveState(path: string): Promise<void>;
}

export interface CheckpointContent {
  model: SavableModel;
  learner: SavableLearner;
  state: TrainerState;
}

export interface Checkpoint {
  /** Steps done. */
  step: number;
  path: string;
  /** Hugging Face directory, for `LanguageModel.load`. */
  modelPath: string;
  /** PEFT directory of a LoRA run, which has this in the place of `modelPath`: for `lora: { adapter }`. */
  adapterPath: string;
  /** For `learner.loadState`. */
  optimizerPath: string;
}

const NAME = /^step-(\d{6,})$/;
const MODEL = 'model';
const ADAPTER = 'adapter';
const OPTIMIZER = 'optimizer.safetensors';
const TRAINER = 'trainer.json';

export class Checkpoints {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Complete checkpoints, oldest first. */
  async list(): Promise<Checkpoint[]> {
    const names = (await namesIn(this.directory)) ?? [];
    return names
      .flatMap((name) => {
        const match = NAME.exec(name);
        return match ? [this.at(Number(match[1]))] : [];
      })
      .sort((a, b) => a.step - b.step);
  }

  /** Removes what an interrupted save or deletion left behind. */
  async clean(): Promise<void> {
    for (const name of (await namesIn(this.directory)) ?? []) {
      if (name.startsWith('.')) await this.#remove(join(this.directory, name));
    }
  }

  /**
   * Writes a checkpoint. On failure nothing is left of it, and earlier ones are as they were.
   *
   * @throws LspError IO_ERROR (full disk, permissions); whatever `model.save` or `learner.saveState` throw
   */
  async save({ model, learner, state }: CheckpointContent): Promise<Checkpoint> {
    const checkpoint = this.at(state.nextStep);
    // A complete one of the same step holds the same bits: a run has only one way to get there.
    if (await statusOf(checkpoint.path)) return checkpoint;
    const temporary = join(this.directory, `.${nameOf(state.nextStep)}.tmp`);
    try {
      await rm(temporary, { recursive: true, force: true });
      await mkdir(temporary);
      if (model.adapter && model.saveAdapter) {
        await model.saveAdapter(join(temporary, ADAPTER));
      } else {
        await model.save(join(temporary, MODEL));
      }
      await learner.saveState(join(temporary, OPTIMIZER));
      await writeFile(join(temporary, TRAINER), prettyJson(state));
      await fsyncTree(temporary);
      await rename(temporary, checkpoint.path);
      await fsyncPath(this.directory);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
      throw toIoError(error, 'write the checkpoint', checkpoint.path);
    }
    return checkpoint;
  }

  /** Deletes all checkpoints but the last `keep` and those of `keepSteps`. */
  async prune(keep: number, keepSteps: readonly number[]): Promise<void> {
    const all = await this.list();
    for (const { step, path } of all.slice(0, Math.max(0, all.length - keep))) {
      if (keepSteps.includes(step)) continue;
      const doomed = join(this.directory, `.${nameOf(step)}.deleted`);
      await withIoErrors('delete', path, async () => {
        await rm(doomed, { recursive: true, force: true });
        await rename(path, doomed);
      });
      await this.#remove(doomed);
    }
  }

  /**
   * The trainer's state of a checkpoint.
   *
   * @throws LspError INVALID_CHECKPOINT
   */
  async readState(checkpoint: Checkpoint): Promise<TrainerState> {
    const { modelPath, adapterPath, optimizerPath } = checkpoint;
    const weightsPath = (await statusOf(adapterPath)) ? adapterPath : modelPath;
    for (const path of [weightsPath, optimizerPath]) {
      if (!(await statusOf(path))) throw invalidCheckpoint(checkpoint, `one without ${path}`);
    }
    let state: unknown;
    try {
      state = JSON.parse(await readFile(join(checkpoint.path, TRAINER), 'utf8'));
    } catch (error) {
      throw invalidCheckpoint(checkpoint, `a ${TRAINER} that cannot be read`, error);
    }
    if (!isTrainerState(state) || state.nextStep !== checkpoint.step) {
      throw invalidCheckpoint(checkpoint, `a ${TRAINER} of another kind`);
    }
    return state;
  }

  /** Where the checkpoint of a step is, or would be. */
  at(step: number): Checkpoint {
    const path = join(this.directory, nameOf(step));
    return {
      step,
      path,
      modelPath: join(path, MODEL),
      adapterPath: join(path, ADAPTER),
      optimizerPath: join(path, OPTIMIZER),
    };
  }

  async #remove(path: string): Promise<void> {
    await withIoErrors('delete', path, () => rm(path, { recursive: true, force: true }));
  }
}

function nameOf(step: number): string {
  return `step-${String(step).padStart(6, '0')}`;
}

/** Only what decides how to go on; the trainer checks the rest of what it reads. */
function isTrainerState(value: unknown): value is TrainerState {
  return (
    isRecord(value) &&
    value.format === 1 &&
    (value.kind === 'lsp' || value.kind === 'grpo') &&
    typeof value.seed === 'string' &&
    Number.isSafeInteger(value.nextStep)
  );
}

function invalidCheckpoint(checkpoint: Checkpoint, received: string, cause?: unknown): LspError {
  return new LspError(
    'INVALID_CHECKPOINT',
    `Expected a complete checkpoint in \`${checkpoint.path}\` but received ${received}.`,
    { cause, remedy: 'Delete that directory to resume from the checkpoint before it.' },
  );
}
