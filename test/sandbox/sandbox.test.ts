/** What the sandbox promises to programs that behave, and to its callers. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Sandbox, type SandboxProgram, type SandboxResult } from '../../lib/sandbox';
import { unavailable } from '../../lib/sandbox/unavailable';
import { expectError, rejectionOf } from '../support/errors';
import { describeWithSandbox, openSandbox } from '../support/sandbox';

const python = (source: string, rest: Partial<SandboxProgram> = {}): SandboxProgram => ({
  language: 'python',
  files: { 'main.py': source },
  timeoutMs: 5000,
  ...rest,
});

describeWithSandbox('Sandbox', () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await openSandbox();
  });
  const run = (program: SandboxProgram): Promise<SandboxResult> => sandbox.run(program);

  it('was tried out when it was opened', () => {
    expect(sandbox.description).toMatch(/^bubblewrap \d+\.\d+\S*, Python 3\.\d+/);
    expect(sandbox.checks.length).toBeGreaterThanOrEqual(9);
    expect(sandbox.checks.filter(({ ok }) => !ok)).toEqual([]);
  });

  it('runs Python with input, files and modules beside it', async () => {
    const result = await run({
      language: 'python',
      files: {
        'main.py':
          'import sys, part.helper\nprint(part.helper.double(sys.stdin.read()), open("data.txt").read())',
        'part/helper.py': 'def double(text):\n    return text * 2',
        'data.txt': Buffer.from('ünïcode'),
      },
      stdin: 'ab',
    });
    expect(result).toEqual({
      status: 'ok',
      exitCode: 0,
      stdout: 'abab ünïcode\n',
      stderr: '',
      seconds: expect.any(Number) as number,
    });
  });

  it('runs a command and tells its exit code', async () => {
    const result = await run({ command: ['sh', '-c', 'echo out; echo err >&2; exit 7'] });
    expect(result).toMatchObject({ status: 'failed', exitCode: 7, stdout: 'out\n', stderr: 'err\n' });
    const signalled = await run(python('import os, signal; os.kill(os.getpid(), signal.SIGSEGV)'));
    expect(signalled).toMatchObject({ status: 'failed', exitCode: 139 });
    const absent = await run({ command: ['no-such-program'] });
    expect(absent).toMatchObject({ status: 'failed', exitCode: 127 });
  });

  it('passes inputs that are larger than a pipe, and does not mind those nobody reads', async () => {
    const large = 'x'.repeat(3_000_000);
    const counted = await run(
      python('import sys; print(len(sys.stdin.read()), len(open("large").read()))', {
        files: { 'main.py': 'import sys; print(len(sys.stdin.read()), len(open("large").read()))', large },
        stdin: large,
      }),
    );
    expect(counted.stdout).toBe('3000000 3000000\n');
    expect(await run(python('pass', { stdin: large }))).toMatchObject({ status: 'ok' });
  });

  it('gives files in /program that cannot be changed, and a work folder that can', async () => {
    const source = [
      'import os',
      'for path in ("/program/kept.txt", "/box/mine.txt"):',
      '    try:',
      '        open(path, "w").write("changed")',
      '        print(path, "written")',
      '    except OSError:',
      '        print(path, "refused")',
      'print(open("/program/kept.txt").read(), os.getcwd())',
    ].join('\n');
    const result = await run(python(source, { readOnlyFiles: { 'kept.txt': 'kept' } }));
    expect(result.stdout).toBe('/program/kept.txt refused\n/box/mine.txt written\nkept /box\n');
  });

  it('has the same order of sets in every run', async () => {
    const source = 'print([hash(word) for word in ("a", "b", "longer")])';
    const [first, second] = await Promise.all([run(python(source)), run(python(source))]);
    expect(first.stdout).toBe(second.stdout);
  });

  it('stops at the time limit, soon', async () => {
    const result = await run(python('print("begun", flush=True)\nwhile True: pass', { timeoutMs: 700 }));
    expect(result).toMatchObject({ status: 'timeout', exitCode: null, stdout: 'begun\n' });
    expect(result.seconds).toBeGreaterThanOrEqual(0.7);
    expect(result.seconds).toBeLessThan(3); // a loaded machine may take its time, but not the program's
  });

  it('stops even in the first millisecond, and leaves nothing', async () => {
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, i) => run(python('import time; time.sleep(9)', { timeoutMs: 1 + i }))),
    );
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set(['timeout']));
  });

  it('does not mistake a program that has ended for one that takes too long', async () => {
    const running = run(python('print("fine")', { timeoutMs: 1500 }));
    await delay(700);
    const until = performance.now() + 1500;
    while (performance.now() < until); // the event loop does not see the end before the time is up
    expect(await running).toMatchObject({ status: 'ok', stdout: 'fine\n' });
  });

  it('says why there are no programs where there are no descriptors left, and goes on', async () => {
    const script = join(__dirname, 'exhausted.ts');
    const command = 'ulimit -n 200 && exec "$0" --require ts-node/register "$1"';
    const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command, process.execPath, script]);
    expect(stdout).toMatch(/^SANDBOX_UNAVAILABLE .*ulimit -n/);
  });

  it('is aborted with the reason of the signal, running or waiting', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const sleeping = Array.from({ length: 4 }, () =>
      sandbox.run(python('import time; time.sleep(9)'), { signal: controller.signal }),
    );
    setTimeout(() => controller.abort(reason), 200);
    const started = performance.now();
    const outcomes = await Promise.allSettled(sleeping);
    expect(outcomes).toEqual(sleeping.map(() => ({ status: 'rejected', reason })));
    expect(performance.now() - started).toBeLessThan(4000);
    await expect(sandbox.run(python('pass'), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(await run(python('print(1)'))).toMatchObject({ stdout: '1\n' }); // turns were given back
  });

  it('runs two at a time', async () => {
    const started = performance.now();
    await Promise.all(Array.from({ length: 4 }, () => run(python('import time; time.sleep(0.4)'))));
    expect(performance.now() - started).toBeGreaterThanOrEqual(800);
  });

  it('leaves nothing in the folder for temporary files, nor open descriptors', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lsp-temporary-'));
    const before = process.env['TMPDIR'];
    process.env['TMPDIR'] = folder;
    try {
      const descriptors = readdirSync('/proc/self/fd').length;
      await run(python('open("left.txt", "w").write("x")'));
      await run(python('open("left.txt", "w").write("x")\nwhile True: pass', { timeoutMs: 300 }));
      expect(readdirSync(folder)).toEqual([]);
      expect(readdirSync('/proc/self/fd').length).toBe(descriptors);
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
      rmSync(folder, { recursive: true });
    }
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', {}, /`command`/],
    ['an unknown option', { command: ['true'], timeout: 1 }, /Did you mean `timeoutMs`/],
    ['two things', { command: ['true'], language: 'python', files: { 'main.py': '' } }, /`command`/],
    ['no main file', { language: 'python', files: {} }, /main\.py/],
    ['another language', { language: 'perl', files: {} }, /'python'/],
    ['a path upwards', { command: ['true'], files: { '../x': '' } }, /relative paths/],
    ['a path upwards within', { command: ['true'], files: { 'a/../../x': '' } }, /relative paths/],
    ['an absolute path', { command: ['true'], files: { '/etc/x': '' } }, /relative paths/],
    ['a file of a wrong type', { command: ['true'], files: { x: 5 } }, /a string or a Uint8Array/],
    [
      'files too large',
      { command: ['true'], files: { x: 'x'.repeat(5000) }, maxFileBytes: 4096 },
      /4096 bytes/,
    ],
    ['no time', { command: ['true'], timeoutMs: 0 }, /`timeoutMs`/],
    ['endless time', { command: ['true'], timeoutMs: Infinity }, /`timeoutMs`/],
    ['no memory', { command: ['true'], memoryBytes: 1 }, /`memoryBytes`/],
    [
      'a file within a file',
      { language: 'python', files: { 'main.py': '', 'main.py/x': '' } },
      /no file within another/,
    ],
    ['a command that is too long', { command: ['true', 'x'.repeat(200_000)] }, /a shorter `command`/],
    ['a NUL', { command: ['ec\0ho'] }, /without NUL/],
  ])('refuses %s', async (_, program, message) => {
    const error = await rejectionOf(sandbox.run(program as SandboxProgram));
    expect(['INVALID_ARGUMENT', 'UNKNOWN_OPTION']).toContain(error.code);
    expect(error.message).toMatch(message);
  });

  it('shows other folders only if they are named, and never private ones', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lsp-shown-'));
    try {
      chmodSync(folder, 0o755);
      const source = `import os; print(os.path.exists(${JSON.stringify(folder)}))`;
      expect((await run(python(source))).stdout).toBe('False\n');
      const wider = await Sandbox.open({ readOnly: [folder] });
      expect((await wider.run(python(source))).stdout).toBe('True\n');
    } finally {
      rmSync(folder, { recursive: true });
    }
    for (const folder of ['/', '/home', '/etc', '/proc', process.env['HOME'] ?? '/root', '/no/such/folder']) {
      expectError(
        await rejectionOf(Sandbox.open({ readOnly: [folder] })),
        'INVALID_ARGUMENT',
        /readOnly\[0\]/,
      );
    }
  });

  it('refuses a bubblewrap that shares a namespace with this machine', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lsp-bwrap-'));
    const bubblewrap = join(folder, 'bwrap');
    const script = [
      '#!/bin/sh',
      '[ "$1" = --version ] && exec /usr/bin/bwrap --version',
      'for word do',
      '  shift',
      '  [ "$word" = --clearenv ] && set -- "$@" --share-net',
      '  set -- "$@" "$word"',
      'done',
      'exec /usr/bin/bwrap "$@"',
    ];
    try {
      chmodSync(folder, 0o755);
      writeFileSync(bubblewrap, script.join('\n'), { mode: 0o755 });
      const error = await rejectionOf(Sandbox.open({ bubblewrap }));
      expectError(error, 'SANDBOX_UNAVAILABLE', /shares namespaces or .*\(net\)/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('Sandbox.open without what it needs', () => {
  const path = process.env['PATH'];
  afterEach(() => {
    process.env['PATH'] = path;
  });

  it('says that bubblewrap is missing, and how to get it', async () => {
    process.env['PATH'] = '/nonexistent';
    const error = await rejectionOf(Sandbox.open());
    expectError(error, 'SANDBOX_UNAVAILABLE', /no bubblewrap/);
    expect(error.remedy).toMatch(/apt-get install bubblewrap python3/);
  });

  it('says so where something else is called bubblewrap', async () => {
    expectError(
      await rejectionOf(Sandbox.open({ bubblewrap: '/usr/bin/false' })),
      'SANDBOX_UNAVAILABLE',
      /./,
    );
    expectError(await rejectionOf(Sandbox.open({ bubblewrap: '/usr/bin/true' })), 'SANDBOX_UNAVAILABLE', /./);
    expectError(
      await rejectionOf(Sandbox.open({ bubblewrap: 'bwrap' })),
      'INVALID_ARGUMENT',
      /absolute path/,
    );
  });

  it.each(['darwin', 'win32'])('says that %s has none', async (platform) => {
    const own = Object.getOwnPropertyDescriptor(process, 'platform')!;
    Object.defineProperty(process, 'platform', { ...own, value: platform });
    try {
      const error = await rejectionOf(Sandbox.open());
      expectError(error, 'SANDBOX_UNAVAILABLE', /Linux on x64 or arm64/);
    } finally {
      Object.defineProperty(process, 'platform', own);
    }
  });

  it('says why bubblewrap does not start', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lsp-bwrap-'));
    const bubblewrap = join(folder, 'bwrap');
    const answers = (version: string): void =>
      writeFileSync(
        bubblewrap,
        `#!/bin/sh\n[ "$1" = --version ] && echo bubblewrap ${version} && exit\n` +
          'echo "bwrap: setting up uid map: Permission denied" >&2\nexit 1\n',
        { mode: 0o755 },
      );
    try {
      chmodSync(folder, 0o755);
      answers('0.8.0');
      const error = await rejectionOf(Sandbox.open({ bubblewrap }));
      expectError(error, 'SANDBOX_UNAVAILABLE', /setting up uid map: Permission denied/);
      expect(error.remedy).toMatch(/namespaces.*docs\/sandbox\.md/);
      answers('0.6.1');
      expectError(await rejectionOf(Sandbox.open({ bubblewrap })), 'SANDBOX_UNAVAILABLE', /0\.6\.1/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('knows what to do about limits that are too low', () => {
    const said = 'prlimit: failed to set the NOFILE resource limit: Operation not permitted';
    expect(unavailable(`one in which Python does not run (failed, exit code 1: ${said})`).remedy).toMatch(
      /`ulimit -n` has to be 64 or more/,
    );
  });

  it('cannot be made without being opened, and knows its options', async () => {
    expectError(await rejectionOf(Sandbox.open({ unsafe: true } as never)), 'UNKNOWN_OPTION', /"unsafe"/);
    expectError(await rejectionOf(Sandbox.open({ python: '/no/python' })), 'INVALID_ARGUMENT', /`python`/);
    expectError(await rejectionOf(Sandbox.open({ timeoutMs: -1 })), 'INVALID_ARGUMENT', /`timeoutMs`/);
  });
});
