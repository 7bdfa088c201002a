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

/** Interprets the six instructions of classic BPF that a filter of ours is made of. */
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
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x06) return k;
    else throw new Error(`instruction ${code}`);
  }
  throw new Error('ran off the end');
}

const X64 = {
  ...{ audit: 0xc000003e, ptrace: 101, keyctl: 250, read: 0, clone: 56, ioctl: 16 },
  ...{ mmap: 9, fcntl: 72, socket: 41, socketpair: 53 },
  queues: [42, 43, 49, 50, 54, 288], // connect, accept, bind, listen, setsockopt, accept4
  pins: [275, 276, 278], // splice, tee, vmsplice
  shared: [73, 206, 253, 294, 444, 457, 458], // flock, io_setup, inotify, landlock, statmount, listmount
};
const ARM64 = {
  ...{ audit: 0xc00000b7, ptrace: 117, keyctl: 219, read: 63, clone: 220, ioctl: 29 },
  ...{ mmap: 222, fcntl: 25, socket: 198, socketpair: 199 },
  queues: [200, 201, 202, 203, 208, 242],
  pins: [75, 76, 77],
  shared: [0, 26, 32, 444, 457, 458],
};

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
    // Without arguments `socketpair` is refused, too.
    expect(all.filter((found) => found === EPERM).length).toBe(1 + (architecture === 'x64' ? 71 : 67));
    expect(all.filter((found) => found === ENOSYS).length).toBe(1);
  });

  it('refuses new namespaces, but not new processes and threads', () => {
    expect(of(numbers.clone, 0x10000000 | 17)).toBe(EPERM);
    expect(of(numbers.clone, 0x3d0f00)).toBe(ALLOW); // flags of a thread
    expect(of(435)).toBe(ENOSYS);
  });

  it('allows no sockets but local pairs', () => {
    const families = [0, 1, 2, 10, 16, 17, 38, 40];
    expect(families.map((family) => of(numbers.socketpair, family, 1) === ALLOW)).toEqual(
      families.map((family) => family === 1),
    );
    expect(of(numbers.socket, 1, 1)).toBe(EPERM);
    expect(numbers.queues.map((number) => of(number))).toEqual(numbers.queues.map(() => EPERM));
  });

  it('refuses memory that stays when its process has let go of it', () => {
    const mapping = (flags: number): number => of(numbers.mmap, 0, 4096, 3, flags, 2 ** 32 - 1, 0);
    const [shared, private_, fixed, anonymous, noReserve] = [1, 2, 0x10, 0x20, 0x4000];
    expect(mapping(shared + anonymous)).toBe(EPERM);
    expect(mapping(shared + anonymous + fixed + noReserve)).toBe(EPERM);
    expect(mapping(2 ** 32 + shared + anonymous)).toBe(EPERM);
    expect(mapping(private_ + anonymous + fixed)).toBe(ALLOW);
    expect(mapping(shared)).toBe(ALLOW); // of a file in the work folder, which counts
    expect(numbers.pins.map((number) => of(number))).toEqual(numbers.pins.map(() => EPERM));
  });

  it('refuses what programs of one user share', () => {
    expect(numbers.shared.map((number) => of(number))).toEqual(numbers.shared.map(() => EPERM));
    const commands = [1024, 1026, 6, 3]; // F_SETLEASE, F_NOTIFY, F_SETLK, F_GETFL
    expect(commands.map((command) => of(numbers.fcntl, 0, command))).toEqual([EPERM, EPERM, ALLOW, ALLOW]);
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
