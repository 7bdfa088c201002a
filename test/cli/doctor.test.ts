/** `lsp doctor`, mostly on machines that lack something: what it asks is replaced through PATH and NODE_OPTIONS. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ask } from '../../lib/cli/doctor/child';
import { examine, type Finding } from '../../lib/cli/doctor/finding';
import { checkMemory, checkNode } from '../../lib/cli/doctor/machine';
import { checkGraphics, checkSandbox, isAtLeast } from '../../lib/cli/doctor/tools';
import { lsp } from './support';

let root: string;
beforeAll(() => void (root = mkdtempSync(join(tmpdir(), 'lsp-doctor-'))));
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function examination(env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await lsp(['doctor', '--json'], { env: { LSP_ISA: '', ...env } });
  expect(stderr).toBe('');
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
  expect(ok).toBe(findings.every(({ state }) => state !== 'problem'));
  expect(code).toBe(ok ? 0 : 1);
  return Object.fromEntries(findings.map((finding) => [finding.name, finding]));
}

/** A module that every Node.js process loads first; `isProbe` tells the one in which the addon is tried. */
function preload(name: string, body: string): Record<string, string> {
  const path = join(root, `${name}.js`);
  writeFileSync(path, `const isProbe = /probe-process/.test(process.argv[1] ?? '');\n${body}\n`);
  return { NODE_OPTIONS: `--require ${path}` };
}

describe('on this machine', () => {
  test('every thing is told, and the kernels agree', async () => {
    const found = await examination();
    expect(Object.keys(found)).toEqual([
      'node',
      'system',
      'processor',
      'kernels',
      'memory',
      'disk',
      'tokenizers',
      'model',
      'graphics',
      'sandbox',
      'toolchain',
    ]);
    expect(found['node']).toMatchObject({ state: 'ok', facts: { version: process.versions.node } });
    const { facts } = found['kernels']!;
    expect(facts).toMatchObject({ loaded: true, forced: null, correct: true, disagreeing: [] });
    expect(facts['available']).toContain('portable');
    expect(facts['active']).toBe((facts['available'] as string[])[0]);
    expect(found['memory']!.facts['availableBytes']).toBeGreaterThan(1e8);
    expect(found['graphics']!.text).toContain('computes on the processor only');
  });

  test('people get a line a thing, and the remedies', async () => {
    const { stdout } = await lsp(['doctor'], { env: { LSP_ISA: 'portable' } });
    expect(stdout).toMatch(/^ {2}ok +node +\d+\./m);
    expect(stdout).toMatch(/^ {2}note +kernels +portable is in use/m);
    expect(stdout).toMatch(/^ +LSP_ISA=portable is set\. Unset it/m);
    expect(stdout).not.toContain('undefined');
  });
});

describe('the addon', () => {
  test('a binary that the processor cannot run ends the trial, not the doctor', async () => {
    const { kernels } = await examination(
      preload('crash', "if (isProbe) process.kill(process.pid, 'SIGILL');"),
    );
    expect(kernels).toMatchObject({ state: 'problem', facts: { loaded: false } });
    expect(kernels!.text).toContain('ended by SIGILL');
    expect(kernels!.remedy).toContain('npm run build');
  });

  test('where the portable kernels work, they are the remedy', async () => {
    const crash = "if (isProbe && process.env.LSP_ISA !== 'portable') process.kill(process.pid, 'SIGILL');";
    const { kernels } = await examination(preload('crash-fast', crash));
    expect(kernels).toMatchObject({ state: 'problem', facts: { loaded: false } });
    expect(kernels!.remedy).toContain('Set LSP_ISA=portable');
  });

  test('no binary, and no tools to build one: both are problems', async () => {
    const body = `
      const Module = require('node:module');
      const load = Module._load;
      Module._load = function (request, ...rest) {
        if (request === 'node-gyp-build') return () => { throw new Error('No native build was found'); };
        return load.call(this, request, ...rest);
      };`;
    const found = await examination({ ...preload('missing', body), PATH: root, CXX: '' });
    expect(found['kernels']).toMatchObject({ state: 'problem', facts: { loaded: false } });
    expect(found['kernels']!.text).toContain('No native build was found');
    expect(found['kernels']!.remedy).toContain('Possible solutions');
    expect(found['toolchain']).toMatchObject({
      state: 'problem',
      text: 'missing: CMake, a C++20 compiler, ninja or make',
    });
  });

  test('a variant that does not exist, or that is forced', async () => {
    const unknown = (await examination({ LSP_ISA: 'mmx' }))['kernels']!;
    expect(unknown).toMatchObject({ state: 'problem', facts: { loaded: false, forced: 'mmx' } });
    expect(unknown.remedy).toContain('unset it');
    const forced = (await examination({ LSP_ISA: 'portable' }))['kernels']!;
    expect(forced).toMatchObject({ state: 'note', facts: { active: 'portable', forced: 'portable' } });
  });

  test('kernels that compute wrongly or do not agree are a problem', async () => {
    const spoil = (condition: string, change: string) => `
      if (isProbe && ${condition}) {
        const write = process.stdout.write.bind(process.stdout);
        process.stdout.write = (text) => {
          const report = JSON.parse(text);
          ${change}
          return write(JSON.stringify(report));
        };
      }`;
    const wrong = await examination(preload('wrong', spoil('true', 'report.correct = false;')));
    expect(wrong['kernels']).toMatchObject({ state: 'problem', facts: { correct: false } });
    const differs = spoil("process.env.LSP_ISA !== ''", "report.bits = report.bits.replace(/^./, '?');");
    const differing = (await examination(preload('differing', differs)))['kernels']!;
    const { bases } = differing.facts as { bases: string[] };
    // Where there is one variant only, there is nothing to differ from.
    expect(differing.facts['disagreeing']).toEqual(bases.slice(1));
    expect(differing.state).toBe(bases.length > 1 ? 'problem' : 'note');
  });
});

test('a tokenizer library that does not load is a problem, and no end of the doctor', async () => {
  const body = `
    const Module = require('node:module');
    const load = Module._load;
    Module._load = function (request, ...rest) {
      if (request === 'tokenizers') throw new Error('Cannot find native binding');
      return load.call(this, request, ...rest);
    };`;
  const { tokenizers, kernels } = await examination(preload('no-tokenizers', body));
  expect(tokenizers).toMatchObject({ state: 'problem', facts: { loaded: false } });
  expect(tokenizers!.text).toContain('Cannot find native binding');
  expect(tokenizers!.remedy).toContain('install again');
  expect(kernels!.facts).toMatchObject({ loaded: true });
});

describe('what lies around', () => {
  const programs = (name: string, scripts: Record<string, string>) => {
    const directory = join(root, name);
    mkdirSync(directory);
    for (const [program, body] of Object.entries(scripts)) {
      writeFileSync(join(directory, program), `#!/bin/sh\n${body}\n`);
      chmodSync(join(directory, program), 0o755);
    }
    return { PATH: directory, CXX: '' };
  };

  test('old tools are a note while the addon works', async () => {
    const scripts = {
      cmake: 'echo cmake version 3.9.6',
      'g++': 'cat >/dev/null; exit 1',
      make: 'echo GNU Make 4.3',
    };
    const { kernels, toolchain } = await examination(programs('old', scripts));
    expect(kernels).toMatchObject({ facts: { loaded: true } });
    expect(toolchain).toMatchObject({
      state: 'note',
      text: 'missing: a newer CMake than 3.9.6, a C++20 compiler',
      facts: { cmake: '3.9.6', compiler: null, builder: 'make' },
    });
  });

  test('a card is named, and that it is not used', async () => {
    mkdirSync(join(root, 'nvidia', 'gpus', '0000:01:00.0'), { recursive: true });
    writeFileSync(
      join(root, 'nvidia', 'gpus', '0000:01:00.0', 'information'),
      'Model: \t\t Some Card\nIRQ: 1\n',
    );
    expect(await checkGraphics(join(root, 'nvidia'))).toMatchObject({
      state: 'note',
      facts: { cards: ['Some Card'], used: false },
    });
  });

  test('a program that does not answer is given up, with what it started', async () => {
    const [directory] = [programs('hanging', { hang: 'echo begun; /bin/sleep 600' }).PATH];
    const begun = performance.now();
    const asked = await ask(join(directory, 'hang'), [], { timeoutMs: 500 });
    expect(asked).toMatchObject({ ok: false, stdout: 'begun\n', failure: 'no answer within 0.5 s' });
    expect(performance.now() - begun).toBeLessThan(10_000);
    expect(await ask(join(root, 'nothing'), [], { timeoutMs: 500 })).toMatchObject({ ok: false });
  });
});

describe('what is judged', () => {
  test.each([
    ['18.20.4', 'problem'],
    ['20.18.3', 'problem'],
    ['20.19.0', 'ok'],
    ['24.1.0', 'ok'],
  ])('Node.js %s: %s', (version, state) => expect(checkNode(version).state).toBe(state));

  test('versions are no decimal numbers', () => {
    expect(isAtLeast('3.9.6', [3, 22])).toBe(false);
    expect(isAtLeast('3.22', [3, 22])).toBe(true);
    expect(isAtLeast('4.0.1', [3, 22])).toBe(true);
  });

  test('the largest model that can be trained follows from the memory', () => {
    const [small, large] = [1e9, 33e9].map((availableBytes) =>
      checkMemory({ totalBytes: availableBytes, availableBytes }, 2 ** 30),
    );
    expect(small).toMatchObject({ state: 'ok', facts: { trainableParameters: 0, limitedByContainer: true } });
    expect(large!.facts['trainableParameters']).toBeGreaterThan(1.4e9);
    expect(large!.facts['trainableParameters']).toBeLessThan(1.5e9);
    expect(checkMemory({ totalBytes: 1e9, availableBytes: 1e8 }, 2 ** 24).state).toBe('problem');
  });

  test('a check that fails is a finding', async () => {
    const failing = () => {
      throw new Error('no /proc here');
    };
    expect(await examine('processor', failing)).toMatchObject({ name: 'processor', state: 'note' });
  });
});

describe('a sandbox', () => {
  const path = process.env.PATH;
  afterEach(() => {
    process.env.PATH = path;
  });

  test('that is not there is a note that says how to get it', async () => {
    process.env.PATH = root;
    const finding = await checkSandbox();
    expect(finding).toMatchObject({
      state: 'note',
      facts: { available: false, code: 'SANDBOX_UNAVAILABLE' },
    });
    expect(finding.remedy).toMatch(/bubblewrap/);
    expect(finding.text).not.toContain(finding.remedy);
  });
});
