/** What a chart says to those who do not see it, and how a long one is shortened. */
import { formatNumber } from './format';
import type { Chart, LineChart, Series } from './types';

/** More points than this cannot be told apart on a screen and only make the file heavy. */
export const MAX_POINTS = 240;

/** The text alternative: what each series begins and ends with, and its extremes. */
export function describeChart(chart: Chart): string {
  const kind = chart.shape === 'lines' ? 'Line chart' : 'Dot chart';
  const parts = chart.series.map((series) =>
    chart.shape === 'lines' ? describeLine(chart, series) : describeDots(chart, series),
  );
  return `${kind}: ${chart.title}. ${chart.value.label} by ${chart.along.label.toLowerCase()}. ${parts.join(' ')}`;
}

interface Point {
  at: string;
  value: number;
}

function pointsOf(chart: Chart, series: Series): Point[] {
  return chart.along.positions.flatMap((position, i) => {
    const value = series.values[i] ?? null;
    return value === null ? [] : [{ at: String(position), value }];
  });
}

function describeLine(chart: LineChart, series: Series): string {
  const points = pointsOf(chart, series);
  if (points.length === 0) return `${series.name}: no values.`;
  const { lowest, highest } = extremes(points);
  const where = chart.along.label.toLowerCase();
  const say = ({ at, value }: Point) => `${formatNumber(value, chart.value.format)} at ${where} ${at}`;
  return (
    `${series.name}: first ${say(points[0]!)}, last ${say(points.at(-1)!)}, ` +
    `lowest ${say(lowest)}, highest ${say(highest)}.`
  );
}

function describeDots(chart: Chart, series: Series): string {
  const points = pointsOf(chart, series);
  if (points.length === 0) return `${series.name}: no values.`;
  const { lowest, highest } = extremes(points);
  const say = ({ at, value }: Point) => `${formatNumber(value, chart.value.format)} for ${at}`;
  const ends = points.length > 2 ? `first ${say(points[0]!)}, last ${say(points.at(-1)!)}, ` : '';
  return `${series.name}: ${ends}lowest ${say(lowest)}, highest ${say(highest)}.`;
}

function extremes(points: readonly Point[]): { lowest: Point; highest: Point } {
  return {
    lowest: points.reduce((best, point) => (point.value < best.value ? point : best)),
    highest: points.reduce((best, point) => (point.value > best.value ? point : best)),
  };
}

/**
 * The chart with at most `MAX_POINTS` points: each the mean of as many neighbours (of maxima the greatest), at the
 * middle one's position. The ends stay where they are.
 *
 * @returns the chart and how many points one stands for
 */
export function thin(chart: Chart): { chart: Chart; each: number } {
  const { length } = chart.along.positions;
  if (chart.shape === 'dots' || length <= MAX_POINTS) return { chart, each: 1 };
  const each = Math.ceil(length / MAX_POINTS);
  const starts = Array.from({ length: Math.ceil(length / each) }, (_, i) => i * each);
  const shorten = (values: readonly (number | null)[], one: typeof meanOf) =>
    starts.map((start) => one(values.slice(start, start + each)));
  const series = chart.series.map((full) => ({
    ...full,
    values: shorten(full.values, full.maxima ? maximumOf : meanOf),
    ...(full.low && { low: shorten(full.low, meanOf) }),
    ...(full.high && { high: shorten(full.high, meanOf) }),
  }));
  const all = chart.along.positions;
  const positions = starts.map((start, i) => {
    const last = Math.min(start + each, length) - 1;
    return all[i === 0 ? 0 : last === length - 1 ? last : (start + last) >> 1]!;
  });
  return { chart: { ...chart, along: { ...chart.along, positions }, series }, each };
}

function maximumOf(values: readonly (number | null)[]): number | null {
  const present = values.filter((value) => value !== null);
  return present.length === 0 ? null : Math.max(...present);
}

function meanOf(values: readonly (number | null)[]): number | null {
  const present = values.filter((value) => value !== null);
  return present.length === 0 ? null : present.reduce((sum, value) => sum + value, 0) / present.length;
}
