/** Versions, for `--version` and for the record of a run. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAddon } from '../native/load';

/** Version in package.json, which lies two folders above both lib/cli and dist/cli. */
export function packageVersion(): string {
  const text = readFileSync(join(__dirname, '..', '..', 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** What a run was computed with. The instruction set is told for the record: results do not depend on it. */
export function runVersions(): Record<string, string> {
  return {
    lsp: packageVersion(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    isa: loadAddon().isa().active,
  };
}
