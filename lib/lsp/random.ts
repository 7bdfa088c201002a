/**
 * Where random numbers come from: each is a function of (seed, step, role, index), never of what was drawn before.
 *
 * There is no generator state to save, so a resumed run draws what the uninterrupted one would have drawn, and a
 * query that the gate rejects does not shift the numbers of the others.
 */
import { expectInteger } from '../options';
import type { Random } from './types';

/** Separate streams of the same step. Numbers are part of the format of a run: never reuse one. */
export const STREAM_ROLES = { challenger: 0, solver: 1, judge: 2, draw: 3, order: 4, suite: 5 } as const;

export type StreamRole = keyof typeof STREAM_ROLES;

/**
 * Random stream of one sampled sequence, 64 bits: role (4) · step (28) · index (32).
 * @throws LspError INVALID_ARGUMENT when step or index does not fit
 */
export function streamId(step: number, role: StreamRole, index: number): bigint {
  expectInteger('step', step, { min: 0, max: 2 ** 28 - 1 });
  expectInteger('index', index, { min: 0, max: 2 ** 32 - 1 });
  return (BigInt(STREAM_ROLES[role]) << 60n) | (BigInt(step) << 32n) | BigInt(index);
}

/** Uniform numbers in [0, 1) for the harness's own choices (draws, shuffles): xoshiro128** seeded by splitmix64. */
export function randomFor(seed: bigint, step: number, role: StreamRole, index: number): Random {
  let mixed = splitmix64(seed) ^ streamId(step, role, index);
  const words = new Uint32Array(4);
  for (let i = 0; i < 4; i += 2) {
    mixed = BigInt.asUintN(64, mixed + 0x9e3779b97f4a7c15n);
    const value = splitmix64(mixed);
    words[i] = Number(value & 0xffffffffn);
    words[i + 1] = Number(value >> 32n);
  }
  return () => next(words) / 2 ** 32;
}

function splitmix64(value: bigint): bigint {
  let z = BigInt.asUintN(64, value + 0x9e3779b97f4a7c15n);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/** xoshiro128** 1.1 (Blackman & Vigna 2018). */
function next(s: Uint32Array): number {
  const result = Math.imul(rotateLeft(Math.imul(s[1]!, 5), 7), 9) >>> 0;
  const shifted = s[1]! << 9;
  s[2]! ^= s[0]!;
  s[3]! ^= s[1]!;
  s[1]! ^= s[2]!;
  s[0]! ^= s[3]!;
  s[2]! ^= shifted;
  s[3] = rotateLeft(s[3]!, 11);
  return result;
}

function rotateLeft(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

/** Fisher–Yates: the numbers 0..count-1 in random order. */
export function shuffledIndices(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
