/** The length-controlled win rate against scikit-learn (length-control.py), and what must hold of it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fitLengthControl, type LengthControlSample } from '../../../lib/eval/alpacaeval';
import { alpacaEvalMetrics, type AlpacaEvalVerdict } from '../../../lib/eval/alpacaeval/metrics';
import { estimate } from '../../../lib/eval/statistics';
import { randomFor } from '../../../lib/lsp/random';

interface Case {
  name: string;
  rows: [number, number, number, number?][];
  expected: { model: number; length: number; difficulty: number; winRate: number };
}

const CASES = JSON.parse(readFileSync(join(__dirname, 'length-control.json'), 'utf8')) as Case[];

function samplesOf({ rows }: Case): LengthControlSample[] {
  return rows.map(([preference, lengthCandidate, lengthBaseline, difficulty]) => ({
    preference,
    lengthCandidate,
    lengthBaseline,
    ...(difficulty !== undefined && { difficulty }),
  }));
}

describe('the fit', () => {
  it('has cases', () => {
    expect(CASES).toHaveLength(8);
  });

  it.each(CASES.map((one) => [one.name, one] as const))('%s', (_name, one) => {
    const fit = fitLengthControl(samplesOf(one))!;
    // Both stop at a minimum of the same strictly convex loss; where all is won its curvature is least, and
    // scikit-learn stops at a gradient of 1e-12: 1e-7 leaves room for that, and for nothing else.
    for (const field of ['model', 'length', 'difficulty', 'winRate'] as const) {
      expect(Math.abs(fit[field] - one.expected[field])).toBeLessThan(1e-7);
    }
  });

  it.each(CASES.map((one) => [one.name, one] as const))('with the roles swapped: %s', (_name, one) => {
    const samples = samplesOf(one);
    // What is hard for one is easy for the other.
    const mirrored = samples.map(({ preference, lengthCandidate, lengthBaseline, difficulty }) => ({
      preference: 1 - preference,
      lengthCandidate: lengthBaseline,
      lengthBaseline: lengthCandidate,
      ...(difficulty !== undefined && { difficulty }),
    }));
    expect(fitLengthControl(mirrored)!.winRate).toBeCloseTo(1 - fitLengthControl(samples)!.winRate, 9);
  });

  it('of the same answers is one half', () => {
    const same = Array.from({ length: 20 }, (_, i) => ({
      preference: 0.5,
      lengthCandidate: i,
      lengthBaseline: i,
    }));
    expect(fitLengthControl(same)).toEqual({ model: 0, length: 0, difficulty: 0, winRate: 0.5 });
  });

  it('takes away what length alone has won', () => {
    // The longer answer is preferred at nine to one, and three of four times it is the candidate's.
    const samples = Array.from({ length: 200 }, (_, i) => {
      const longer = i % 4 !== 0;
      return { preference: longer ? 0.9 : 0.1, lengthCandidate: longer ? 600 : 100, lengthBaseline: 350 };
    });
    const mean = samples.reduce((sum, { preference }) => sum + preference, 0) / samples.length;
    expect(mean).toBeCloseTo(0.7, 12);
    // Exactly one half without the penalty, which is worth 0.01 at most here.
    expect(Math.abs(fitLengthControl(samples)!.winRate - 0.5)).toBeLessThan(0.01);
  });

  it('of one sample, and of none', () => {
    expect(
      fitLengthControl([{ preference: 1, lengthCandidate: 9, lengthBaseline: 1 }])!.winRate,
    ).toBeGreaterThan(0.9);
    expect(fitLengthControl([])).toBeNull();
  });
});

describe('the metrics', () => {
  const verdicts = (count: number): AlpacaEvalVerdict[] => {
    const random = randomFor(1n, 0, 'judge', 0);
    return Array.from({ length: count }, (_, i) => {
      const [firstOrder, swapped] = [random() < 0.6 ? 1 : 0, random() < 0.4 ? 1 : 0];
      return {
        subset: ['koala', 'vicuna'][i % 2]!,
        preference: (firstOrder + swapped) / 2,
        firstOrder,
        swapped,
        lengthCandidate: Math.floor(random() * 2000),
        lengthBaseline: Math.floor(random() * 1000),
      };
    });
  };

  it('are the win rate, the length-controlled one, and that of each subset', () => {
    const all = verdicts(100);
    const values = alpacaEvalMetrics(['koala', 'oasst', 'vicuna']).map((metric) => [
      metric.name,
      metric.value(all),
      metric.count?.(all) ?? all.length,
    ]);
    const mean = (list: readonly AlpacaEvalVerdict[]) =>
      list.reduce((sum, { preference }) => sum + preference, 0) / list.length;
    expect(values).toEqual([
      ['win_rate', mean(all), 100],
      ['lc_win_rate', fitLengthControl(all)!.winRate, 100],
      ['win_rate_koala', mean(all.filter(({ subset }) => subset === 'koala')), 50],
      ['win_rate_oasst', null, 0],
      ['win_rate_vicuna', mean(all.filter(({ subset }) => subset === 'vicuna')), 50],
    ]);
  });

  it('do not tell without verdicts', () => {
    expect(alpacaEvalMetrics(['koala']).map((metric) => metric.value([]))).toEqual([null, null, null]);
  });

  it('have an interval', () => {
    const [, lengthControlled] = alpacaEvalMetrics([]);
    const { value, low, high } = estimate(lengthControlled!, verdicts(200));
    expect(low).toBeLessThan(value!);
    expect(high).toBeGreaterThan(value!);
    expect(high! - low!).toBeLessThan(0.2);
  });

  it('are fast enough to leave out each of 805 verdicts', () => {
    // In a process of its own: in jest's, each use of `Math` is a look-up in a sandbox.
    const script = `
      const { fitLengthControl } = require(${JSON.stringify(join(__dirname, '../../../lib/eval/alpacaeval/length-control'))});
      const verdicts = ${JSON.stringify(verdicts(805))};
      const startMs = performance.now();
      for (let i = 0; i < 200; i += 1) fitLengthControl(verdicts);
      console.log((performance.now() - startMs) / 200);`;
    const register = require.resolve('ts-node/register/transpile-only');
    const output = execFileSync(process.execPath, ['--require', register, '--eval', script], {
      cwd: join(__dirname, '../../..'),
      encoding: 'utf8',
    });
    expect(Number(output)).toBeGreaterThan(0);
    expect(Number(output)).toBeLessThan(2); // ms; the jackknife of an evaluation takes 806 of them
  });
});
