/** The synchronous worker, seen from a process of its own: a thread that cannot be interrupted does not keep it. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript';

const file = join(__dirname, '../../lib/model/sync-worker.ts');
const { outputText } = transpileModule(readFileSync(file, 'utf8'), {
  compilerOptions: { module: ModuleKind.CommonJS, target: ScriptTarget.ES2022 },
});

function runWith(script: string) {
  return spawnSync(process.execPath, ['-e', `${outputText}\n${script}`], {
    encoding: 'utf8',
    timeout: 60_000,
  });
}

// Hours of work on a thread of Node's pool, which nothing can interrupt.
const BODY = `
  const { pbkdf2 } = require('node:crypto');
  return (hours) => hours && new Promise((done) => pbkdf2('a', 'b', 2 ** 31 - 1, 64, 'sha512', done));`;

const USE = `
  const worker = new SyncWorker(${JSON.stringify(BODY)});
  console.log(worker.call(false, 30000));
  process.exitCode = 3;`;

test('a process whose worker answers ends by itself', () => {
  const { status, stdout, stderr } = runWith(USE);
  expect({ status, stdout, stderr }).toEqual({ status: 3, stdout: 'false\n', stderr: '' });
});

test.each(['', 'process.exit(3);'])('a process whose worker is stuck ends, too (%s)', (ending) => {
  const { signal, stdout } = runWith(`${USE}
    process.on('exit', () => console.log('exiting'));
    try { worker.call(true, 300); } catch (error) { console.log(error.message); }
    console.log(worker.call(false, 30000));
    ${ending}`);
  expect({ signal, stdout }).toEqual({
    signal: 'SIGKILL',
    stdout: 'false\nno answer within 300 ms\nfalse\nexiting\n',
  });
});
