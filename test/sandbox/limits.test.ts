/** Attempts to take too much, or to stay. Each must end in time, as expected, and leave nothing. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Sandbox } from '../../lib/sandbox';
import { describeWithSandbox, openSandbox } from '../support/sandbox';
import { attempts, countProcesses } from './attempt';

const MEBIBYTE = 2 ** 20;

describeWithSandbox('limits', () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await openSandbox();
  });
  const { run, reportOf } = attempts(() => sandbox);

  describe('taking too much', () => {
    it('fork bomb', async () => {
      const source = 'while True:\n    attempt(os.fork)';
      expect(await run(source, { timeoutMs: 1500 })).toMatchObject({ status: 'timeout' });
    });

    it('no more processes or threads than the limit', async () => {
      const processes = `
children = 0
while children < 100:
    child = attempt(os.fork)
    if child == 0: time.sleep(60)
    if child == 'EAGAIN': break
    children += 1
report(children=children)`;
      const { children } = (await reportOf(processes, { maxProcesses: 10 })) as { children: number };
      expect(children).toBeGreaterThan(5);
      expect(children).toBeLessThan(10);
      const threads = `
count = 0
while count < 100 and attempt(threading.Thread(target=time.sleep, args=(60,), daemon=True).start) is None:
    count += 1
report(count=count)
os._exit(0)`;
      expect(((await reportOf(threads, { maxProcesses: 10 })) as { count: number }).count).toBeLessThan(10);
    });

    it('memory, in one process', async () => {
      const source =
        'report(got=attempt(lambda: len(bytearray(400 << 20))), map=attempt(lambda: mmap.mmap(-1, 400 << 20, flags=2)))';
      expect(await reportOf(source, { memoryBytes: 200 * MEBIBYTE })).toEqual({
        got: 'MemoryError',
        map: 'ENOMEM',
      });
    });

    it('memory, in many processes', async () => {
      const source = `
for _ in range(20):
    if os.fork() == 0:
        block = bytearray(100 << 20)
        time.sleep(60)
time.sleep(60)`;
      const result = await run(source, { memoryBytes: 200 * MEBIBYTE });
      expect(result).toMatchObject({ status: 'memory', exitCode: null });
      expect(result.seconds).toBeLessThan(4);
    });

    it('memory that processes share is counted once', async () => {
      const source = `
block = bytearray(100 << 20)
for _ in range(8):
    if os.fork() == 0:
        time.sleep(0.3)
        os._exit(0)
time.sleep(0.5)
report(done=True)`;
      expect(await reportOf(source, { memoryBytes: 256 * MEBIBYTE })).toEqual({ done: true });
    });

    it('memory as files, as mappings of them, and as what no limit counts', async () => {
      const source = `
def fill():
    with open('/box/large', 'wb') as file:
        while True: file.write(b'x' * (1 << 20))
def fill_many():
    for i in range(100):
        with open(f'/box/{i}', 'wb') as file: file.write(b'x' * (1 << 20))
numbers = {'x86_64': (319, 29, 240), 'aarch64': (279, 194, 180)}[os.uname().machine]
report(large=attempt(fill), many=attempt(fill_many), shm=attempt(lambda: os.listdir('/dev/shm')),
       memfd=syscall(numbers[0], b'x', 0), sysv=syscall(numbers[1], 0, 4096, 0o1600),
       queue=syscall(numbers[2], b'x', 0o102, 0o600, 0))`;
      expect(await reportOf(source, { maxFileBytes: 20 * MEBIBYTE })).toEqual({
        large: expect.stringMatching(/EFBIG|ENOSPC/) as string,
        many: 'ENOSPC',
        shm: 'ENOENT',
        memfd: 'EPERM',
        sysv: 'EPERM',
        queue: 'EPERM',
      });
    });

    it('files of the work folder that are mapped', async () => {
      const source = `
for n in range(5):
    if os.fork() == 0:
        file = os.open(f'/box/{n}', os.O_RDWR | os.O_CREAT)
        os.ftruncate(file, 60 << 20)
        own = mmap.mmap(file, 60 << 20)
        own.write(b'x' * (60 << 20))
        time.sleep(60)
time.sleep(60)`;
      const limits = { memoryBytes: 256 * MEBIBYTE, maxFileBytes: 400 * MEBIBYTE };
      expect(await run(source, limits)).toMatchObject({ status: 'memory' });
    });

    it('memory that stays when its process has let go of it', async () => {
      const source = `
one, other = socket.socketpair()
read_end, write_end = os.pipe()
numbers = {'x86_64': (278, 275, 276, 50, 42), 'aarch64': (75, 76, 77, 201, 203)}[os.uname().machine]
calls = [syscall(number, one.fileno(), 0, 0, 0, 0, 0) for number in numbers]
report(mapping=attempt(lambda: mmap.mmap(-1, 4096)), calls=calls,
       bind=attempt(lambda: one.bind('/box/socket')), socket=attempt(lambda: socket.socket(socket.AF_UNIX)),
       buffer=attempt(lambda: one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 24)),
       vsock=attempt(lambda: socket.socketpair(40)), ruleset=syscall(444, 0, 0, 1))`;
      expect(await reportOf(source)).toEqual({
        mapping: 'EPERM',
        calls: Array.from({ length: 5 }, () => 'EPERM'),
        bind: 'EPERM',
        socket: 'EPERM',
        buffer: 'EPERM',
        vsock: 'EPERM',
        ruleset: 'EPERM',
      });
    });

    it('page tables', async () => {
      // A page of zeros a gibibyte apart: no memory but 4 KiB of page tables for each, and as much for each upper level.
      const source = `
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
for _ in range(8):
    if os.fork() == 0: break
for n in range(12000):
    address = libc.mmap(0x100000000000 + (n << 30), 4096, 1, 0x100022, -1, 0)
    ctypes.string_at(address, 1)
time.sleep(60)`;
      const result = await run(source, { memoryBytes: 200 * MEBIBYTE, timeoutMs: 20_000 });
      expect(result).toMatchObject({ status: 'memory', stderr: '' });
    });

    it('what programs of one user share', async () => {
      const source = `
import fcntl
setup, init = {'x86_64': (206, 294), 'aarch64': (0, 26)}[os.uname().machine]
signal.pthread_sigmask(signal.SIG_BLOCK, [40])
queued = 0
while queued < 5000 and libc.sigqueue(os.getpid(), 40, ctypes.c_void_p(0)) == 0: queued += 1
shown = open('/usr/bin/env', 'rb')
report(aio=syscall(setup, 100, 0), inotify=syscall(init, 0), queued=queued <= 1024,
       lock=attempt(lambda: fcntl.flock(shown, fcntl.LOCK_SH)), lease=attempt(lambda: fcntl.fcntl(shown, 1024, 0)),
       statmount=syscall(457, 0, 0, 0, 0), listmount=syscall(458, 0, 0, 0, 0))`;
      expect(await reportOf(source)).toEqual({
        aio: 'EPERM',
        inotify: 'EPERM',
        queued: true,
        lock: 'EPERM',
        lease: 'EPERM',
        statmount: 'EPERM',
        listmount: 'EPERM',
      });
    });

    it('empty files without end', async () => {
      const source = "n = 0\nwhile True:\n    open(f'/box/{n}', 'w').close(); n += 1";
      expect(await run(source)).toMatchObject({ status: 'files' });
    });

    it.each(['stdout', 'stderr'] as const)('endless output to %s', async (stream) => {
      const source = `while True: attempt(lambda: sys.${stream}.write('y' * 1000))`;
      const result = await run(source, { maxOutputBytes: 10_000 });
      expect(result.status).toBe('output');
      expect(result[stream]).toBe('y'.repeat(10_000));
      expect(result.seconds).toBeLessThan(4);
    });

    it('limits cannot be raised', async () => {
      const source = `
names = ['RLIMIT_AS', 'RLIMIT_NPROC', 'RLIMIT_FSIZE', 'RLIMIT_CPU', 'RLIMIT_CORE', 'RLIMIT_NOFILE']
raised = []
for name in names:
    limit = getattr(resource, name)
    if attempt(lambda: resource.setrlimit(limit, (resource.RLIM_INFINITY,) * 2)) is None: raised.append(name)
report(raised=raised, nice=attempt(lambda: os.nice(-5)))`;
      expect(await reportOf(source)).toEqual({
        raised: [],
        nice: expect.stringMatching(/EPERM|EACCES/) as string,
      });
    });

    it('deep recursion and huge exceptions', async () => {
      expect(await run('def f(): f()\nf()')).toMatchObject({ status: 'failed', exitCode: 1 });
      const deep = 'sys.setrecursionlimit(10**9)\ndef f(n): return f([n])\nf(1)';
      expect((await run(deep, { memoryBytes: 256 * MEBIBYTE })).status).toMatch(/failed|memory/);
      expect(await run("raise Exception('x' * 10**7)")).toMatchObject({ status: 'output' });
    });
  });

  describe('staying', () => {
    it('sleeping forever', async () => {
      const source = 'while True: time.sleep(1000)';
      expect(await run(source, { timeoutMs: 500 })).toMatchObject({ status: 'timeout' });
    });

    it('ignoring signals, closing all output, and spinning', async () => {
      const source = `
for number in range(1, 65): attempt(lambda: signal.signal(number, signal.SIG_IGN))
os.closerange(0, 64)
while True: pass`;
      expect(await run(source, { timeoutMs: 700 })).toMatchObject({ status: 'timeout' });
    });

    it.each([
      ['beside a program that ends', 'os._exit(0)', 'ok'],
      ['beside one that goes on', 'time.sleep(60)', 'timeout'],
    ])('a daemon %s', async (_, rest, status) => {
      const source = `
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 65): attempt(lambda: signal.signal(number, signal.SIG_IGN))
        os.closerange(0, 64)
        while True: pass
    os._exit(0)
time.sleep(0.2)
${rest}`;
      expect(await run(source, { timeoutMs: 1000 })).toMatchObject({ status });
    });

    describe('nothing outlives this process, should it be killed', () => {
      const script = join(__dirname, 'outlived.ts');
      const start = async (...given: string[]): Promise<ChildProcess> => {
        const parent = spawn(process.execPath, ['--require', 'ts-node/register', script, ...given], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        await once(parent.stdout, 'data');
        return parent;
      };
      const count = async (mark: string, wanted: (count: number) => boolean): Promise<number> => {
        // The parent's own command line has the mark, too, and so has bubblewrap's.
        for (let i = 0; i < 100 && !wanted(countProcesses(mark)); i++) await delay(50);
        return countProcesses(mark);
      };

      it('while a program runs', async () => {
        const mark = `mark-outlived-${process.pid}`;
        const parent = await start(mark);
        expect(await count(mark, (running) => running >= 4)).toBeGreaterThanOrEqual(4);
        parent.kill('SIGKILL');
        expect(await count(mark, (running) => running === 0)).toBe(0);
      });

      it('before bubblewrap has bound itself to it', async () => {
        const mark = `mark-early-${process.pid}`;
        const folder = mkdtempSync(join(tmpdir(), 'lsp-late-'));
        const bubblewrap = join(folder, 'bwrap');
        try {
          chmodSync(folder, 0o755);
          // Late, as somebody else's child, and not ended by having nobody to report to.
          const late = `case "$*" in *${mark}*) /usr/bin/sleep 0.4; exec 3>/dev/null ;; esac`;
          writeFileSync(bubblewrap, `#!/bin/sh\n${late}\nexec /usr/bin/bwrap "$@"\n`, { mode: 0o755 });
          const parent = await start(mark, bubblewrap);
          expect(await count(mark, (running) => running >= 2)).toBeGreaterThanOrEqual(2);
          parent.kill('SIGKILL');
          await once(parent, 'exit');
          expect(countProcesses(mark)).toBeGreaterThan(0);
          expect(await count(mark, (running) => running === 0)).toBe(0);
        } finally {
          rmSync(folder, { recursive: true });
        }
      });
    });

    it('nothing is left of programs that are stopped while they start', async () => {
      const results = await Promise.all(
        Array.from({ length: 12 }, (_, i) => run('time.sleep(60)', { timeoutMs: 1 + 3 * i })),
      );
      expect(results.every(({ status }) => status === 'timeout')).toBe(true);
    });
  });
});
