/** The probe along a run: measured once for each step that is due, also by a run that was resumed. */
import { runProbe } from '../../eval/probe';
import type { LanguageModel } from '../../model/language-model';
import type { RunDirectory } from '../../run/run-directory';
import type { TrainOptions } from '../../run/train-options';
import type { Output } from '../output';

export interface ProbeLogParts {
  run: RunDirectory;
  model: LanguageModel;
  options: TrainOptions;
  signal: AbortSignal;
  output: Output;
}

export class ProbeLog {
  readonly #parts: ProbeLogParts;

  constructor(parts: ProbeLogParts) {
    this.#parts = parts;
  }

  /** Measures the model after `step` steps, unless that has been done or the probe is off. */
  async ensure(step: number): Promise<void> {
    const { run, model, options, signal, output } = this.#parts;
    const { probeSize, maxNewTokens } = options;
    if (probeSize === 0 || (await run.probes.read()).some((record) => record.step === step)) return;
    const result = await runProbe(model, {
      size: probeSize,
      maxNewTokens,
      signal,
      onProgress: (fraction) => output.progress(fraction, 'answering the probe'),
    });
    output.endProgress();
    await run.probes.append({ step, ...result });
    output.value({ event: 'probe', step, score: result.score, meanTokens: result.meanTokens });
    output.line(
      `Probe after step ${step}: ${result.score.toFixed(3)} of 1 on ${probeSize} held-out prompts ` +
        `(${result.meanTokens.toFixed(0)} tokens an answer)`,
    );
  }
}
