/** The page as its readers meet it: opened from a disk, in a browser, in light and dark, on a telephone. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import type { Browser } from 'playwright-core';
import { writeReport } from '../../lib';
import { describeWithBrowser, launchBrowser, openPage, until, type OpenPage } from './browser';
import { HOSTILE, hostileRun } from './hostile';
import { goodRun, remove, temporaryDirectory, writeRun } from './support';

describeWithBrowser('a report in a browser', () => {
  let root: string;
  let browser: Browser;
  let file: string;
  let opened: OpenPage | undefined;

  beforeAll(async () => {
    root = await temporaryDirectory();
    file = await writeReport(await writeRun(join(root, 'good'), goodRun({ steps: 40 })));
    browser = await launchBrowser();
  });
  afterEach(async () => {
    await opened?.close();
    opened = undefined;
  });
  afterAll(async () => {
    await browser.close();
    await remove(root);
  });

  async function open(options: Parameters<typeof openPage>[2] = {}, path = file): Promise<OpenPage> {
    opened = await openPage(browser, path, options);
    return opened;
  }

  test('opens from a disk without a request or a complaint', async () => {
    const { page, url, requests, complaints } = await open();
    await page.evaluate('checks.openAll()');
    await page.waitForTimeout(200); // for what would come late
    expect(requests).toEqual([url]);
    expect(complaints).toEqual([]);
  });

  test('draws every chart', async () => {
    const { page } = await open();
    const canvases: { id: string; width: number; height: number; painted: number; colors: number }[] =
      await page.evaluate('checks.canvases()');
    expect(canvases.map(({ id }) => id).sort()).toEqual(
      [
        'accepted',
        'clipped',
        'difficulty',
        'entropy',
        'gradient',
        'held-out-groups',
        'held-out-score',
        'kl',
        'length',
        'rejections',
        'reward',
        'time',
      ].map((id) => `chart-${id}`),
    );
    for (const { width, height, painted, colors } of canvases) {
      expect(width).toBeGreaterThan(200);
      expect(height).toBeGreaterThan(150);
      // Labels, grid and lines cover a few per cent of a picture, in more shades than a blank one has.
      expect(painted).toBeGreaterThan(0.01 * width * height);
      expect(colors).toBeGreaterThan(10);
    }
  });

  test('redraws when light turns dark', async () => {
    const { page } = await open({ colorScheme: 'light' });
    const light: number = await page.evaluate("checks.picture('chart-reward')");
    await page.emulateMedia({ colorScheme: 'dark' });
    await until(page, `checks.picture('chart-reward') !== ${light}`);
    await page.emulateMedia({ colorScheme: 'light' });
    await until(page, `checks.picture('chart-reward') === ${light}`);
  });

  test('tells a chart in words and as a table', async () => {
    const { page } = await open();
    const chart = page.getByRole('img', {
      name: /^Line chart: Entropy\. Nats a token by step\. Solver: first /,
    });
    expect(await chart.count()).toBe(1);
    const figure = page.locator('figure', { has: chart });
    expect(await figure.locator('table').count()).toBe(0);
    await figure.locator('summary').click();
    await figure.locator('table tbody tr').first().waitFor();
    expect(await figure.locator('table tbody tr').count()).toBe(40);
    expect(await figure.locator('thead th').allTextContents()).toEqual(['Step', 'Solver', 'Challenger']);
    await figure.locator('summary').click();
    await figure.locator('summary').click();
    expect(await figure.locator('table').count()).toBe(1);
  });

  describe('the table of samples', () => {
    test('finds by text, in answers too, and counts', async () => {
      const { page } = await open();
      expect(await page.evaluate('checks.rows().length')).toBe(25);
      expect(await page.getByRole('status').textContent()).toBe(
        '320 of 320 queries found, the first 25 shown.',
      );
      await page.getByLabel('Text', { exact: true }).fill('SEEN IN STEP 17.');
      expect(await page.getByRole('status').textContent()).toBe('8 of 320 queries found.');
      const rows: string[] = await page.evaluate('checks.rows()');
      expect(rows).toHaveLength(8);
      expect(rows.every((row) => row.includes('as seen in step 17.'))).toBe(true);
      await page.getByLabel('Text', { exact: true }).fill('the boats with it');
      expect(await page.getByRole('status').textContent()).toMatch(/^2\d\d of 320 queries found/);
      await page.getByLabel('Text', { exact: true }).fill('no such text');
      expect(await page.evaluate('checks.rows()')).toEqual([]);
    });

    test('filters by outcome, kind and step, and shows all again', async () => {
      const { page } = await open();
      await page.getByLabel('Outcome', { exact: true }).selectOption({ label: 'rejected: too-short' });
      const rejected: string[] = await page.evaluate('checks.rows()');
      expect(rejected.length).toBeGreaterThan(0);
      expect(rejected.every((row) => row.includes('too-short'))).toBe(true);
      await page.getByLabel('Outcome', { exact: true }).selectOption({ label: 'valid' });
      await page.getByLabel('Kind', { exact: true }).selectOption({ label: 'sorting' });
      await page.getByLabel('Step from', { exact: true }).fill('3');
      await page.getByLabel('Step to', { exact: true }).fill('4');
      const narrow: string[] = await page.evaluate('checks.rows()');
      expect(narrow.length).toBeGreaterThan(0);
      expect(narrow.every((row) => /^[34]Write.*valid.*sorting/s.test(row))).toBe(true);
      await page.getByRole('button', { name: 'Show all' }).click();
      await page.getByText('320 of 320 queries found').waitFor();
    });

    test('shows more on demand', async () => {
      const { page } = await open();
      await page.getByLabel('Step to', { exact: true }).fill('4');
      expect(await page.evaluate('checks.rows().length')).toBe(25);
      const more = page.getByRole('button', { name: 'Show more queries' });
      await more.click();
      expect(await page.evaluate('checks.rows().length')).toBe(32);
      expect(await more.isVisible()).toBe(false);
      expect(
        await page.evaluate('document.activeElement === document.querySelectorAll(".records tbody tr")[25]'),
      ).toBe(true);
    });
  });

  test.each([320, 360, 768])('does not scroll sideways at a width of %d', async (width) => {
    const { page } = await open({ viewport: { width, height: 740 } });
    expect(await page.evaluate('checks.overflow()')).toBe(0);
    await page.evaluate('checks.openAll()');
    expect(await page.evaluate('checks.overflow()')).toBe(0);
  });

  describe.each(['light', 'dark'] as const)('in %s', (colorScheme) => {
    test('is legible', async () => {
      const { page } = await open({ colorScheme });
      const ground: number = await page.evaluate('checks.ground()');
      if (colorScheme === 'light') expect(ground).toBeGreaterThan(230);
      else expect(ground).toBeLessThan(40);
      for (const text of [
        'main p',
        '.muted',
        'small',
        'a',
        '.legend li',
        'th',
        'td',
        'button',
        'label',
        'strong',
      ]) {
        // 4.5 is the contrast that WCAG 2 (1.4.3, level AA) asks of text.
        const contrast: number = await page.evaluate(`checks.contrast(${JSON.stringify(text)})`);
        if (!(contrast >= 4.5)) throw new Error(`${text} has a contrast of ${contrast.toFixed(2)}`);
      }
      // 3 is what it asks of the lines of a picture (1.4.11).
      expect(await page.evaluate("checks.contrast('.legend svg')")).toBeGreaterThanOrEqual(3);
    });

    test('has no serious fault that axe finds', async () => {
      const { page } = await open({ colorScheme });
      await page.evaluate('checks.openAll()');
      const { violations, passes }: AxeResults = await page.evaluate('axe.run(document)');
      expect(passes.length).toBeGreaterThan(20);
      const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      expect(grave.map(({ id, nodes }) => `${id}: ${nodes[0]!.html}`)).toEqual([]);
    });
  });

  test('has the structure that a screen reader follows', async () => {
    const { page } = await open();
    await page.evaluate('checks.openAll()');
    await until(page, "document.querySelectorAll('figure table').length === 12");
    expect(await page.evaluate('checks.structure()')).toEqual({
      language: 'en',
      h1: 1,
      landmarks: [],
      sectionsWithoutHeading: 0,
      tables: 12 + 1 + 3, // charts, samples, configuration
      tablesWithoutCaption: 0,
      headersWithoutScope: 0,
      rowsWithoutHeader: 0,
      chartsWithoutName: 0,
      fieldsWithoutLabel: 0,
    });
  });

  test('shows the focus', async () => {
    const { page } = await open();
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('To the content');
    expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
    expect(await page.evaluate('document.activeElement.getBoundingClientRect().top')).toBeGreaterThanOrEqual(
      0,
    );
  });

  test('lets nothing in that did not come with it', async () => {
    let visits = 0;
    const server = createServer((_, response) => {
      visits++;
      response.setHeader('access-control-allow-origin', '*').end('hello');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const { page, complaints } = await open();
    const attempts = `(async () => {
      const run = (action) => { try { return action(); } catch (error) { return error.name; } };
      const script = document.createElement('script');
      return {
        request: await fetch('http://127.0.0.1:${port}/').then(() => 'sent', (error) => error.name),
        markup: run(() => { document.body.innerHTML = '<p>new</p>'; return 'set'; }),
        script: run(() => { script.text = 'globalThis.hacked = true'; document.body.append(script); return 'run'; }),
        hacked: globalThis.hacked ?? false,
      };
    })()`;
    expect(await page.evaluate(attempts)).toEqual({
      request: 'TypeError',
      markup: 'TypeError',
      script: 'TypeError',
      hacked: false,
    });
    server.close();
    expect(visits).toBe(0);
    expect(complaints.join('\n')).toContain('Content Security Policy');
  });

  test('shows hostile text as text', async () => {
    const hostile = await writeReport(await writeRun(join(root, '<b>run<script>'), hostileRun()));
    const { page, url, requests, complaints } = await open(
      { viewport: { width: 360, height: 740 } },
      hostile,
    );
    await page.evaluate('checks.openAll()');
    await page.waitForTimeout(200); // for what would come late
    expect(requests).toEqual([url]);
    expect(complaints).toEqual([]);
    expect(await page.evaluate('globalThis.hacked')).toBeUndefined();
    expect(await page.evaluate('document.querySelectorAll("img, iframe, b, main script").length')).toBe(0);
    expect(await page.evaluate('checks.overflow()')).toBe(0);
    const samples: string[] = await page.evaluate(
      '[...document.querySelectorAll("td .sample")].map((one) => one.textContent)',
    );
    for (const { text, shown } of HOSTILE) expect(samples).toContain(shown ?? text);
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1);
  });

  test('a run without a step opens as well', async () => {
    const empty = await writeReport(await writeRun(join(root, 'empty'), {}));
    const { page, requests, complaints } = await open({ viewport: { width: 360, height: 740 } }, empty);
    expect(requests).toHaveLength(1);
    expect(complaints).toEqual([]);
    expect(await page.evaluate('checks.overflow()')).toBe(0);
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toContain('No step finished yet');
    const { violations }: AxeResults = await page.evaluate('axe.run(document)');
    expect(violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')).toEqual([]);
  });
});
