/** How far an evaluation is, as a bar or in lines. */
import type { EvaluationProgress } from '../../eval';
import { formatDuration, type Output } from '../output';

/** Where there is no progress bar, a line is written whenever so large a share of the items is answered. */
const NOTED_SHARE = 0.1;

/** The progress bar with its text, or a line now and then; the time left by what was done since the first report. */
export function progressLine(output: Output): (progress: EvaluationProgress) => void {
  let first: { done: number; ms: number } | undefined;
  let noted = 0;
  return ({ answered, judged, underWay, total }) => {
    const done = answered + underWay;
    first ??= { done, ms: performance.now() };
    const rate = (done - first.done) / Math.max(1, performance.now() - first.ms);
    const left = rate > 0 && done < total ? `, ${formatDuration((total - done) / rate / 1000)} left` : '';
    const text = `${answered}/${total} answered, ${judged} judged${left}`;
    output.progress(Math.min(1, done / total), text);
    if (output.drawsProgress || answered < noted + total * NOTED_SHARE) return;
    noted = answered;
    output.note(text);
  };
}
