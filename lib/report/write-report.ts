/** Writes the report of a run. */
import { join, resolve } from 'node:path';
import { checkOptions, expectString } from '../options';
import { writeFileDurably } from '../disk/files';
import { renderPage } from './page';
import { readRun } from './run/run-data';
import { runReport } from './run/run-report';

export interface WriteReportOptions {
  /** Where to write it. Default `report.html` in the run. */
  out?: string;
}

/**
 * Makes a page of a run: what came out of it, its curves and samples, and how it was set up. One HTML file that needs
 * nothing beside it. The run may be going on; its records are read as they are.
 *
 * @returns absolute path of the page
 * @throws LspError INVALID_CHECKPOINT (no run), IO_ERROR
 */
export async function writeReport(runPath: string, options?: WriteReportOptions): Promise<string> {
  const { out } = checkOptions(options, ['out'], 'writeReport');
  const path = resolve(
    out === undefined
      ? join(expectString('runPath', runPath, { allowEmpty: false }), 'report.html')
      : expectString('out', out, { allowEmpty: false }),
  );
  await writeFileDurably(path, await renderPage(runReport(await readRun(runPath))));
  return path;
}
