/** Random choices that the kinds share. */
import type { Random } from '../../lsp/types';

const LETTERS = Array.from('abcdefghijklmnopqrstuvwxyz');

/** An integer from `low` to `high`, both inclusive. */
export function integer(low: number, high: number, random: Random): number {
  return low + Math.floor(random() * (high - low + 1));
}

export function pick<T>(choices: readonly T[], random: Random): T {
  return choices[Math.floor(random() * choices.length)]!;
}

export function letter(random: Random): string {
  return pick(LETTERS, random);
}

export function letters(count: number, random: Random): string[] {
  return Array.from({ length: count }, () => letter(random));
}

/** Letters of which about 40 % are `target`, and at least `least`. */
export function lettersWith(target: string, count: number, least: number, random: Random): string[] {
  const items = letters(count, random).map((item) => (random() < 0.4 ? target : item));
  while (items.filter((item) => item === target).length < least)
    items[integer(0, count - 1, random)] = target;
  return items;
}

/** A number of exactly `digits` digits, without leading zeros. */
export function number(digits: number, random: Random): bigint {
  let text = String(integer(digits === 1 ? 0 : 1, 9, random));
  while (text.length < digits) text += String(integer(0, 9, random));
  return BigInt(text);
}
