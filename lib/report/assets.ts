/**
 * The parts of a page that are files: the template, the style, the browser's scripts, and the chart library with its
 * licence. They are read when a page is made.
 */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LspError } from '../errors';
import { withIoErrors } from '../disk/files';

/** The folder lies two above both lib/report and dist/report. */
const FOLDER = join(__dirname, '..', '..', 'assets', 'report');

const STYLES = ['page.css', 'blocks.css'];

/** In the order in which they run. */
const SCRIPTS = ['base.js', 'charts.js', 'records.js', 'start.js'];

/**
 * The chart library's build for browsers is not among the exports of its package, hence the exact version in
 * package.json. The second package is bundled in it.
 */
const CHART_LIBRARY = 'chart.js';
const CHART_SCRIPT = 'chart.umd.min.js';
const BUNDLED = '@kurkle/color';

export interface Assets {
  template: string;
  style: string;
  /** The chart library first. */
  scripts: string[];
  licences: { name: string; text: string }[];
}

export async function readAssets(): Promise<Assets> {
  const library = require.resolve(CHART_LIBRARY);
  const bundled = require.resolve(BUNDLED, { paths: [dirname(library)] });
  const asset = async (name: string) => inlineable(name, await read(join(FOLDER, name)));
  const chartScript = await read(join(dirname(library), CHART_SCRIPT));
  return {
    template: await read(join(FOLDER, 'page.html')),
    style: (await Promise.all(STYLES.map(asset))).join('\n'),
    scripts: [
      inlineable(CHART_SCRIPT, withoutSourceMap(chartScript)),
      ...(await Promise.all(SCRIPTS.map(asset))),
    ],
    licences: await Promise.all([licenceOf(CHART_LIBRARY, library), licenceOf(BUNDLED, bundled)]),
  };
}

async function licenceOf(name: string, entry: string): Promise<Assets['licences'][number]> {
  return { name, text: await read(join(dirname(entry), '..', 'LICENSE.md')) };
}

async function read(path: string): Promise<string> {
  return withIoErrors('read', path, () => readFile(path, 'utf8'));
}

/** A browser with its tools open would ask for the map. */
function withoutSourceMap(script: string): string {
  return script.replace(/^\/\/# sourceMappingURL=.*$/m, '');
}

/** What would end the element that it is put into cannot be inlined. */
function inlineable(name: string, text: string): string {
  if (!/<\/(?:script|style)|<!--/i.test(text)) return text;
  throw new LspError('INTERNAL', `Expected text that can stand within HTML but received another in ${name}.`);
}
