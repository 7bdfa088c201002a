/** A model to be evaluated: where its files are, what identifies it, and where its results go. */
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import {
  type EvaluationConfig,
  evaluationConfig,
  ResultsFolder,
  type RunEvaluationOptions,
} from '../../eval';
import { fingerprintModel } from '../../model/fingerprint';
import { readPeftAdapter } from '../../model/adapter';
import { openModelSource, pathOfSource } from '../../model/formats';
import { localModel, shortName } from '../local-model';
import type { Output } from '../output';
import type { AnyEvaluation } from './spec';

export interface Subject {
  name: string;
  /** Of its files. */
  path: string;
  /** LoRA adapter on it. */
  adapter?: string | undefined;
  /** Of its results. */
  folder: string;
  options: RunEvaluationOptions;
  config: EvaluationConfig;
}

/**
 * Looks a model through, and checks that its results can go where they are to go, before anything is sampled.
 * @param out default: a folder named by what decides the results, so that the same command finds what it began
 * @throws LspError as `openModelSource`; INVALID_ARGUMENT for a folder that holds something else
 */
export async function findSubject(
  source: string,
  evaluation: AnyEvaluation,
  given: { options: RunEvaluationOptions; out: string | undefined; adapter?: string | undefined },
  { output, signal }: { output: Output; signal: AbortSignal },
): Promise<Subject> {
  const path = await localModel(source, output, signal);
  const { config: geometry } = openModelSource(path); // a model that cannot be read is refused before it is hashed
  const { files } = await fingerprintModel(pathOfSource(path), signal);
  const { adapter } = given;
  if (adapter !== undefined) {
    readPeftAdapter(adapter, geometry);
    for (const file of (await fingerprintModel(adapter, signal)).files)
      files.push({ ...file, file: `adapter/${file.file}` });
  }
  const name = adapter === undefined ? shortName(source) : `${shortName(source)}-${shortName(adapter)}`;
  const model = { name, files: files.map(({ file, sha256 }) => ({ file, sha256 })) };
  const options = { ...given.options, model };
  const config = evaluationConfig(evaluation, options);
  const hash = createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 8);
  const folder = resolve(given.out ?? join('evals', `${evaluation.name}-${name}-${hash}`));
  await ResultsFolder.check(folder, config);
  return { name, path, adapter, folder, options, config };
}
