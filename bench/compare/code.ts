/** Which version of the code a result is of. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');

/**
 * SHA-256 of all that a result depends on besides its options: the methods, the library and the engine. As they were
 * when this process began, whatever is edited meanwhile.
 */
export const CODE_HASH = hashOfCode();

function hashOfCode(): string {
  const library = readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('lib', name));
  const own = ['methods.ts', 'losses.ts', 'measure.ts'].map((name) => join('bench', 'compare', name));
  const hash = createHash('sha256');
  for (const file of [...library.sort(), ...own, join('build', 'Release', 'lsp.node')])
    hash.update(file).update(readFileSync(join(ROOT, file)));
  return hash.digest('hex');
}
