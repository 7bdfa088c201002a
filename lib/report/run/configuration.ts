/** How a run was set up, as tables: enough to run it again. */
import { formatNumber, WHOLE } from '../format';
import type { Block, Table } from '../types';
import type { RunData } from './run-data';

export function configurationBlocks({ config }: RunData): Block[] {
  const { options, model } = config;
  const files: Table = {
    kind: 'table',
    caption: 'Files of the model that the run started from',
    columns: [{ name: 'File' }, { name: 'Bytes', format: WHOLE }, { name: 'SHA-256', wide: true }],
    rows: model.files.map(({ file, bytes, sha256 }) => [
      file,
      typeof bytes === 'number' ? formatNumber(bytes, WHOLE) : null,
      sha256,
    ]),
  };
  // A page is made of what is there: only the options and the model are sure to be.
  const { createdAt = '–', versions = {} } = config as Partial<typeof config>;
  const origin = [['Started', createdAt] as const, ['Model', model.path] as const];
  return [
    pairs('Options', Object.entries(options), 'Option'),
    pairs('Origin and versions', [...origin, ...Object.entries(versions)], 'Name'),
    files,
  ];
}

function pairs(caption: string, entries: readonly (readonly [string, unknown])[], name: string): Table {
  return {
    kind: 'table',
    caption,
    columns: [{ name }, { name: 'Value', wide: true }],
    rows: entries.map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]),
  };
}
