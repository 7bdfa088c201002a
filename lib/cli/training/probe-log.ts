/** The probe along a run: measured once for each step that is due, also by a run that was resumed. */
import type { LanguageModel } from '../../model/language-model';
import type { RunDirectory } from '../../run/run-directory';
import type { TrainOptions } from '../../run/train-options';
import { percent, type Output } from '../output';
import { gameOf, type Pieces } from './games';

export interface ProbeLogParts {
  run: RunDirectory;
  model: LanguageModel;
  options: TrainOptions;
  pieces: Pieces;
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
    const { run, model, options, pieces, signal, output } = this.#parts;
    const { probeSize, maxNewTokens } = options;
    if (probeSize === 0 || (await run.probes.read()).some((record) => record.step === step)) return;
    const game = gameOf(options);
    const { words } = game;
    const result = await game.probe(model, pieces, {
      size: probeSize,
      maxNewTokens,
      signal,
      onProgress: (fraction) => output.progress(fraction, `answering ${words.items}`),
    });
    output.endProgress();
    await run.probes.append({ step, ...result });
    const { scores: _, ...shown } = result;
    output.value({ event: 'probe', step, ...shown });
    output.line(
      `${capitalized(words.score)} after step ${step}: ${percent(result.score)} on ${result.scores.length} ${words.items} ` +
        `(${result.meanTokens.toFixed(0)} tokens an answer)`,
    );
  }
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
