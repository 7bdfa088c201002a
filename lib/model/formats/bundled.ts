/** The model that comes with the package. */
import { join } from 'node:path';

/** Its name as a source. A path of that name is written `./tiny`. */
export const BUNDLED_MODEL = 'tiny';

/** From `lib` as well as from `dist`. */
const DIRECTORY = join(__dirname, '..', '..', '..', 'models', BUNDLED_MODEL);

/** A source as a path: the bundled model's directory for its name, any other source as it is. */
export function pathOfSource(source: string): string {
  return source === BUNDLED_MODEL ? DIRECTORY : source;
}
