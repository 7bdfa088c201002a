/** What an option of a run is: its schema, and beside it what help and error messages say of it. */
import { z } from 'zod';

/** How an option is written on a command line. */
export type OptionKind = 'integer' | 'number' | 'text' | 'choice' | 'bytes';

export interface OptionMeta {
  kind: OptionKind;
  /** What the value must be, for error messages: "an integer of at least 1". */
  expected: string;
  /** Help text: one line. */
  description: string;
  /** Heading of the help that it stands under. */
  group: string;
  /** What a resumed run may change, since it alters no result. */
  resumable?: boolean;
  /** How the help writes the value, where its kind does not say it. */
  valueName?: string;
}

export const metas = z.registry<OptionMeta>();

export function integer(
  meta: Omit<OptionMeta, 'kind' | 'expected'>,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
) {
  const expected =
    max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`;
  return z
    .number()
    .int()
    .min(min)
    .max(max)
    .register(metas, { ...meta, kind: 'integer', expected });
}

export function number(meta: Omit<OptionMeta, 'kind' | 'expected'>, min: number, exclusive = false) {
  const schema = exclusive ? z.number().gt(min) : z.number().min(min);
  const expected = exclusive ? `a number above ${min}` : `a number of at least ${min}`;
  return schema.register(metas, { ...meta, kind: 'number', expected });
}

export function choice<const T extends readonly [string, ...string[]]>(
  choices: T,
  meta: Omit<OptionMeta, 'kind' | 'expected'>,
) {
  return z.enum(choices).register(metas, {
    ...meta,
    kind: 'choice',
    expected: `one of ${choices.map((name) => `'${name}'`).join(', ')}`,
  });
}

export function text(meta: Omit<OptionMeta, 'kind' | 'expected'>) {
  return z
    .string()
    .min(1)
    .register(metas, { ...meta, kind: 'text', expected: 'a non-empty string' });
}

/** A size: bytes as a number, or text such as `4GB` or `512 MiB`. */
export const bytes = (meta: Omit<OptionMeta, 'kind' | 'expected'>) =>
  z
    .number()
    .int()
    .min(1 << 20)
    .register(metas, { ...meta, kind: 'bytes', expected: 'a size of at least 1 MiB, such as 4GB' });
