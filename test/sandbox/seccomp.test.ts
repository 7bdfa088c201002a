/** The filter of system calls, run by an interpreter of its own: this machine has but one of the two processors. */
import { seccompFilter } from '../../lib/sandbox/seccomp';

interface Call {
  audit: number;
  number: number;
  arguments?: number[];
}

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;

/** Interprets the five instructions of classic BPF that a filter of ours is made of. */
function verdict(filter: Buffer, call: Call): number {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number, 0);
  data.writeUInt32LE(call.audit, 4);
  (call.arguments ?? []).forEach((value, i) => data.writeBigUInt64LE(BigInt(value), 16 + 8 * i));
  let accumulator = 0;
  for (let at = 0; at < filter.length; at += 8) {
    const [code, yes, no, k] = [
      filter.readUInt16LE(at),
      filter[at + 2]!,
      filter[at + 3]!,
      filter.readUInt32LE(at + 4),
    ];
    const jump = (taken: boolean): void => void (at += 8 * (taken ? yes : no));
    if (code === 0x20) accumulator = data.readUInt32LE(k);
    else if (code === 0x15) jump(accumulator === k);
    else if (code === 0x35) jump(accumulator >= k);
    else if (code === 0x45) jump((accumulator & k) !== 0);
    else if (code === 0x06) return k;
    else throw new Error(`instruction ${code}`);
  }
  throw new Error('ran off the end');
}

const X64 = { audit: 0xc000003e, ptrace: 101, keyctl: 250, read: 0, clone: 56, socket: 41, ioctl: 16 };
const ARM64 = { audit: 0xc00000b7, ptrace: 117, keyctl: 219, read: 63, clone: 220, socket: 198, ioctl: 29 };

describe.each([
  ['x64', X64],
  ['arm64', ARM64],
] as const)('seccompFilter on %s', (architecture, numbers) => {
  const filter = seccompFilter(architecture)!;
  const of = (number: number, ...args: number[]): number =>
    verdict(filter, { audit: numbers.audit, number, arguments: args });

  it('refuses what is listed and allows the rest', () => {
    expect([of(numbers.ptrace), of(numbers.keyctl)]).toEqual([EPERM, EPERM]);
    expect(of(numbers.read)).toBe(ALLOW);
    const all = Array.from({ length: 480 }, (_, number) => of(number));
    // Without arguments `socket` is refused, too.
    expect(all.filter((found) => found === EPERM).length).toBe(1 + (architecture === 'x64' ? 52 : 49));
    expect(all.filter((found) => found === ENOSYS).length).toBe(1);
  });

  it('refuses new namespaces, but not new processes and threads', () => {
    expect(of(numbers.clone, 0x10000000 | 17)).toBe(EPERM);
    expect(of(numbers.clone, 0x3d0f00)).toBe(ALLOW); // flags of a thread
    expect(of(435)).toBe(ENOSYS);
  });

  it('allows no sockets but local ones', () => {
    const families = [0, 1, 2, 10, 16, 17, 38, 40].map((family) => of(numbers.socket, family, 1));
    expect(families.map((found) => found === ALLOW)).toEqual(
      [0, 1, 2, 10, 16, 17, 38, 40].map((f) => f === 1),
    );
  });

  it('refuses to put characters into a terminal, whatever the upper half of the request', () => {
    expect(of(numbers.ioctl, 0, 0x5412)).toBe(EPERM);
    expect(of(numbers.ioctl, 0, 2 ** 32 + 0x5412)).toBe(EPERM);
    expect(of(numbers.ioctl, 0, 0x541c)).toBe(EPERM);
    expect(of(numbers.ioctl, 0, 0x5401)).toBe(ALLOW);
  });

  it('ends programs that call by the rules of another processor', () => {
    const other = architecture === 'x64' ? ARM64.audit : X64.audit;
    expect(verdict(filter, { audit: other, number: 0 })).toBe(KILL);
    expect(verdict(filter, { audit: 0x40000003, number: 20 })).toBe(KILL); // i386
    if (architecture === 'x64') expect(of(0x40000000 + 39)).toBe(KILL);
  });
});

it('there is none for processors whose numbers are not known', () => {
  expect(seccompFilter('riscv64')).toBeNull();
});
