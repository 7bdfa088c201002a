/**
 * The system calls that a program in the sandbox is refused, as a BPF program for seccomp(2).
 *
 * Namespaces and limits already hold a program in. The filter closes what they leave: memory that no limit counts
 * (memfd, System V, shared mappings, pages in pipes and sockets), families of sockets that network namespaces do not
 * separate (vsock), nested namespaces, reading and tracing neighbours, what programs of one user share, and the parts of the kernel where most escapes were found. It lists what is forbidden, and
 * not what is allowed: a list of what every Python on every C library needs would break with the next release.
 *
 * Filters are per processor, since the numbers of system calls are.
 */

/** Numbers by processor of Node's name: [x64, arm64]; null where it does not exist. From the kernel's tables. */
const REFUSED: Readonly<Record<string, readonly [x64: number, arm64: number | null]>> = {
  // Other processes
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
  pidfd_getfd: [438, 438],
  kcmp: [312, 272],
  // Namespaces and mounts
  unshare: [272, 97],
  setns: [308, 268],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  chroot: [161, 51],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  // Memory and objects that outlive a process or escape its limits
  memfd_create: [319, 279],
  memfd_secret: [447, 447],
  shmget: [29, 194],
  msgget: [68, 186],
  semget: [64, 190],
  mq_open: [240, 180],
  // Pages that a pipe or the queue of a listening socket keeps when their process has let go of them
  vmsplice: [278, 75],
  splice: [275, 76],
  tee: [276, 77],
  bind: [49, 200],
  listen: [50, 201],
  connect: [42, 203],
  accept: [43, 202],
  accept4: [288, 242],
  socket: [41, 198],
  setsockopt: [54, 208], // SO_SNDBUF: some systems allow megabytes, for each of hundreds of pairs
  move_pages: [279, 239],
  migrate_pages: [256, 238],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  landlock_create_ruleset: [444, 444],
  // What all programs of a user, or of this machine, have in common
  io_setup: [206, 0],
  inotify_init: [253, null],
  inotify_init1: [294, 26],
  flock: [73, 32],
  statmount: [457, 457],
  listmount: [458, 458],
  // Large parts of the kernel that a program under test has no business with
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  fanotify_init: [300, 262],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  modify_ldt: [154, null],
  personality: [135, 92],
  // For administrators
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  reboot: [169, 142],
  swapon: [167, 224],
  swapoff: [168, 225],
  acct: [163, 89],
  syslog: [103, 116],
  quotactl: [179, 60],
  iopl: [172, null],
  ioperm: [173, null],
};

interface Processor {
  /** AUDIT_ARCH_* of <linux/audit.h>. */
  audit: number;
  column: 0 | 1;
  clone: number;
  clone3: number;
  mmap: number;
  socketpair: number;
  fcntl: number;
  ioctl: number;
}

const PROCESSORS: Readonly<Record<string, Processor>> = {
  x64: {
    ...{ audit: 0xc000003e, column: 0, clone: 56, clone3: 435 },
    ...{ mmap: 9, socketpair: 53, fcntl: 72, ioctl: 16 },
  },
  arm64: {
    ...{ audit: 0xc00000b7, column: 1, clone: 220, clone3: 435 },
    ...{ mmap: 222, socketpair: 199, fcntl: 25, ioctl: 29 },
  },
};

// <linux/bpf_common.h>
const LOAD = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP_EQUAL = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_AT_LEAST = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const JUMP_ANY_BIT = 0x45; // BPF_JMP | BPF_JSET | BPF_K
const AND = 0x54; // BPF_ALU | BPF_AND | BPF_K
const RETURN = 0x06; // BPF_RET | BPF_K

// struct seccomp_data of <linux/seccomp.h>; both processors are little-endian, so the low half comes first.
const NUMBER = 0;
const ARCHITECTURE = 4;
const argument = (index: number): number => 16 + 8 * index;

const ALLOW = 0x7fff0000;
const KILL_PROCESS = 0x80000000;
const errno = (code: number): number => 0x00050000 | code;
const EPERM = errno(1);
/** What an older kernel says to clone3; the C library then uses clone, whose flags a filter can see. */
const ENOSYS = errno(38);

const AF_UNIX = 1;
/** MAP_TYPE | MAP_ANONYMOUS, and what is refused of it: MAP_SHARED | MAP_ANONYMOUS. */
const MAPPING_KIND = 0x2f;
const SHARED_ANONYMOUS = 0x21;
/** F_SETLEASE holds up others who open a file, F_NOTIFY tells what they do in a folder. */
const LEASE_AND_NOTIFY = [1024, 1026];
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
const NEW_NAMESPACES = 0x7e020000;
/** Puts characters into the terminal's input, TIOCSTI, or its selection, TIOCLINUX. */
const TERMINAL_INJECTIONS = [0x5412, 0x541c];
/** From here on x64 takes calls with 32-bit pointers (x32), numbered otherwise. */
const X32 = 0x40000000;

/** [code, jump if true, jump if false, operand] */
type Instruction = readonly [code: number, yes: number, no: number, operand: number];

/** The filter for a processor by Node's name (`process.arch`), ready for `bwrap --seccomp`; null for others. */
export function seccompFilter(architecture: string): Buffer | null {
  const processor = PROCESSORS[architecture];
  if (processor === undefined) return null;
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCHITECTURE],
    [JUMP_EQUAL, 1, 0, processor.audit],
    [RETURN, 0, 0, KILL_PROCESS],
    [LOAD, 0, 0, NUMBER],
  ];
  if (architecture === 'x64') program.push([JUMP_AT_LEAST, 0, 1, X32], [RETURN, 0, 0, KILL_PROCESS]);
  for (const numbers of Object.values(REFUSED)) {
    const number = numbers[processor.column];
    if (number !== null) program.push(...refuse(number, EPERM));
  }
  program.push(...refuse(processor.clone3, ENOSYS));
  program.push(
    ...onCall(processor.clone, [
      [LOAD, 0, 0, argument(0)],
      [JUMP_ANY_BIT, 0, 1, NEW_NAMESPACES],
      [RETURN, 0, 0, EPERM],
    ]),
    // Of a shared mapping that is unmapped but for one page all pages stay, and nothing shows whose they are.
    ...onCall(processor.mmap, [
      [LOAD, 0, 0, argument(3)],
      [AND, 0, 0, MAPPING_KIND],
      ...refuse(SHARED_ANONYMOUS, EPERM),
    ]),
    ...onCall(processor.socketpair, [
      [LOAD, 0, 0, argument(0)],
      [JUMP_EQUAL, 1, 0, AF_UNIX],
      [RETURN, 0, 0, EPERM],
    ]),
    ...onCall(processor.fcntl, [
      [LOAD, 0, 0, argument(1)],
      ...LEASE_AND_NOTIFY.flatMap((command) => refuse(command, EPERM)),
    ]),
    ...onCall(processor.ioctl, [
      [LOAD, 0, 0, argument(1)],
      ...TERMINAL_INJECTIONS.flatMap((request) => refuse(request, EPERM)),
    ]),
    [RETURN, 0, 0, ALLOW],
  );
  return encode(program);
}

/** Returns `verdict` if the loaded value is `value`. */
function refuse(value: number, verdict: number): Instruction[] {
  return [
    [JUMP_EQUAL, 0, 1, value],
    [RETURN, 0, 0, verdict],
  ];
}

/** Runs `checks`, then allows, if the loaded value is the number of this call; else skips all of it. */
function onCall(number: number, checks: readonly Instruction[]): Instruction[] {
  return [[JUMP_EQUAL, 0, checks.length + 1, number], ...checks, [RETURN, 0, 0, ALLOW]];
}

/** struct sock_filter { u16 code; u8 jt; u8 jf; u32 k; } */
function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(8 * program.length);
  program.forEach(([code, yes, no, operand], i) => {
    bytes.writeUInt16LE(code, 8 * i);
    bytes.writeUInt8(yes, 8 * i + 2);
    bytes.writeUInt8(no, 8 * i + 3);
    bytes.writeUInt32LE(operand >>> 0, 8 * i + 4);
  });
  return bytes;
}
