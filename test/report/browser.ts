/**
 * A page in a real browser. Everything that happens is collected, so that a test can say that nothing did: messages on
 * the console, errors, and every request.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import axe from 'axe-core';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';

const EXECUTABLE = '/usr/bin/chromium';

/** Where .ci/run installs it, a missing browser is a failure. */
const isRequired = process.env.CI === '1' && process.getuid?.() === 0 && existsSync('/etc/debian_version');

const isPresent = existsSync(EXECUTABLE);
if (!isPresent) {
  process.stderr.write(
    `No browser at ${EXECUTABLE} (Debian: the package chromium): tests of pages in it ${isRequired ? 'fail' : 'are skipped'}.\n`,
  );
}

/** `describe`, or `describe.skip` without a browser. */
export const describeWithBrowser = isPresent || isRequired ? describe : describe.skip;

export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export interface OpenPage {
  page: Page;
  /** The page's own address. */
  url: string;
  requests: string[];
  /** Console messages and errors nobody caught. */
  complaints: string[];
  close(): Promise<void>;
}

/** Opens a file. The page gets `checks` (in-page.js) and `axe`, neither of which its policy would let in later. */
export async function openPage(
  browser: Browser,
  file: string,
  options: BrowserContextOptions = {},
): Promise<OpenPage> {
  const context = await browser.newContext(options);
  await context.addInitScript({ path: join(__dirname, 'in-page.js') });
  await context.addInitScript({ content: axe.source });
  const page = await context.newPage();
  const requests: string[] = [];
  const complaints: string[] = [];
  context.on('request', (request) => requests.push(request.url()));
  context.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  context.on('weberror', (error) => complaints.push(`error: ${error.error().message}`));
  const url = pathToFileURL(file).href;
  await page.goto(url);
  return { page, url, requests, complaints, close: () => context.close() };
}

/** Waits until an expression is true in the page (not `waitForFunction`, whose repeated `eval` the page forbids). */
export async function until(page: Page, expression: string): Promise<void> {
  for (const deadline = Date.now() + 10_000; !(await page.evaluate(expression));) {
    if (Date.now() > deadline) throw new Error(`Not true within ten seconds: ${expression}`);
    await page.waitForTimeout(50);
  }
}
