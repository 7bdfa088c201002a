/** The page as such, from a report that is not about a run: what the next kind of report builds on. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import type { Browser } from 'playwright-core';
import { describeChart, thin } from '../../lib/report/chart-text';
import { embedJson, html, visible } from '../../lib/report/html';
import { renderPage } from '../../lib/report/page';
import type { DotChart, LineChart, Report } from '../../lib/report/types';
import { describeWithBrowser, launchBrowser, openPage } from './browser';
import { HOSTILE } from './hostile';
import { dataIn, remove, temporaryDirectory } from './support';

const BY_METHOD: DotChart = {
  kind: 'chart',
  id: 'by-method',
  shape: 'dots',
  title: 'Score by method',
  caption: 'Means over seeds with 95% intervals.',
  along: { label: 'Method', positions: ['none', 'grpo', 'self-play'] },
  value: { label: 'Score', format: { style: 'percent' }, min: 0, max: 1 },
  series: [{ name: 'After', values: [0.4, 0.5, 0.6], low: [0.35, 0.42, 0.5], high: [0.45, 0.58, 0.7] }],
};

const OVER_TIME: LineChart = {
  kind: 'chart',
  id: 'over-time',
  shape: 'lines',
  title: 'Score over steps',
  caption: 'Means over seeds.',
  along: { label: 'Step', positions: [0, 10, 20] },
  value: { label: 'Score', format: { style: 'percent' } },
  series: [
    { name: 'grpo', values: [0.4, 0.45, 0.5], low: [0.38, 0.4, 0.42], high: [0.42, 0.5, 0.58] },
    { name: 'self-play', values: [0.4, null, 0.6] },
  ],
};

function reportOf(...blocks: Report['summary']): Report {
  return {
    title: 'Comparison',
    overline: 'Three methods',
    headline: 'Self-play is ahead',
    lead: [],
    summary: [],
    sections: [{ id: 'scores', title: 'Scores', blocks }],
    colophon: 'Made for a test.',
  };
}

describe('a chart of more points than a screen can show', () => {
  const steps = Array.from({ length: 500 }, (_, i) => i + 1);
  const peak = steps.map((step) => (step === 250 ? 14 : 4));
  const values = [
    { name: 'Mean', values: peak },
    { name: 'Hardest', values: peak, maxima: true },
  ];
  const long: LineChart = { ...OVER_TIME, along: { label: 'Step', positions: steps }, series: values };

  test('is drawn with the means of neighbours, and of maxima with the greatest', async () => {
    const { chart, each } = thin(long);
    const [mean, hardest] = chart.series.map((series) => Math.max(...(series.values as number[])));
    expect(each).toBe(3);
    expect(mean).toBeCloseTo((14 + 4 + 4) / 3, 9);
    expect(hardest).toBe(14);
    expect(await renderPage(reportOf(long))).toContain(
      'mean of 3 neighbouring values (Hardest: the greatest).',
    );
  });
});

describe('text', () => {
  test('is escaped by whoever puts it in, markup is not', () => {
    const text = '<b a="1" c=\'2\'>&';
    expect(html`<p title="${text}">${text}${[html`<i>${1}</i>`, 'x<']}</p>`.markup).toBe(
      '<p title="&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;">' +
        '&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;<i>1</i>x&lt;</p>',
    );
  });

  test('shows control characters', () => {
    expect(visible('a\r\nb\tc\0\x1b\x7f\x9b\r\u202e')).toBe('a\nb\tc\u2400\u241b\u2421\ufffd\u240d\ufffd');
  });

  test('is the same after it has been in a script', () => {
    for (const { text } of HOSTILE) {
      const { markup } = embedJson({ text });
      expect(markup).not.toMatch(/[<\u2028\u2029]/);
      expect(JSON.parse(markup)).toEqual({ text: visible(text) });
    }
  });
});

describe('the page', () => {
  test('names the hash of every script and style, and lets nothing else in', async () => {
    const page = await renderPage(reportOf(BY_METHOD));
    const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(page)![1]!;
    const inlined = (tag: string) =>
      [...page.matchAll(new RegExp(`<${tag}>([^]*?)</${tag}>`, 'g'))].map((m) => m[1]!);
    const directive = (name: string, contents: string[]) =>
      `${name} ${contents.map((text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`).join(' ')}`;
    const parts = policy.split('; ');
    expect(parts[0]).toBe("default-src 'none'");
    expect(inlined('script')).toHaveLength(5);
    expect(parts).toContain(directive('script-src', inlined('script')));
    expect(parts).toContain(directive('style-src', inlined('style')));
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
  });

  test('a text that looks like a placeholder stays one', async () => {
    const page = await renderPage({ ...reportOf(), headline: '<!-- title --> $& $1' });
    expect(page).toContain('<h1>&lt;!-- title --&gt; $&amp; $1</h1>');
  });

  test('two blocks of one name are a mistake', async () => {
    await expect(renderPage(reportOf(BY_METHOD, BY_METHOD))).rejects.toThrow('one block named `by-method`');
  });

  test('carries charts with their intervals', async () => {
    const { charts } = dataIn(await renderPage(reportOf(BY_METHOD, OVER_TIME)));
    expect(charts['by-method']).toEqual(BY_METHOD);
    expect(charts['over-time']).toEqual(OVER_TIME);
  });
});

test('charts are told in words', () => {
  expect(describeChart(OVER_TIME)).toBe(
    'Line chart: Score over steps. Score by step. ' +
      'grpo: first 40% at step 0, last 50% at step 20, lowest 40% at step 0, highest 50% at step 20. ' +
      'self-play: first 40% at step 0, last 60% at step 20, lowest 40% at step 0, highest 60% at step 20.',
  );
  expect(describeChart(BY_METHOD)).toContain('lowest 40% for none, highest 60% for self-play');
  expect(describeChart({ ...OVER_TIME, series: [{ name: 'x', values: [null, null, null] }] })).toContain(
    'x: no values.',
  );
});

describeWithBrowser('a report of another kind in a browser', () => {
  let root: string;
  let browser: Browser;
  beforeAll(async () => {
    root = await temporaryDirectory();
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await remove(root);
  });

  /** Colours in each chart of a report. */
  async function picturesOf(...blocks: Report['summary']): Promise<number[]> {
    const file = join(root, 'page.html');
    await writeFile(file, await renderPage(reportOf(...blocks)));
    const { page, complaints, close } = await openPage(browser, file);
    expect(complaints).toEqual([]);
    const pictures: number[] = await page.evaluate(
      '[...document.querySelectorAll("canvas")].map(({ id }) => checks.picture(id))',
    );
    await close();
    return pictures;
  }

  test('intervals are drawn, as whiskers and as bands', async () => {
    const bare = <T extends DotChart | LineChart>(chart: T): T => ({
      ...chart,
      series: chart.series.map(({ name, values }) => ({ name, values })),
    });
    // The value axis must not move, or any difference would do.
    const fixed = { value: { ...OVER_TIME.value, min: 0, max: 1 } };
    const withIntervals = await picturesOf(BY_METHOD, { ...OVER_TIME, ...fixed });
    const without = await picturesOf(bare(BY_METHOD), { ...bare(OVER_TIME), ...fixed });
    expect(withIntervals).toHaveLength(2);
    expect(withIntervals[0]).not.toBe(without[0]);
    expect(withIntervals[1]).not.toBe(without[1]);
    expect(await picturesOf(BY_METHOD, { ...OVER_TIME, ...fixed })).toEqual(withIntervals);
  });
});
