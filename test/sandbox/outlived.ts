/** Run by a test in a process of its own, which is then killed: a program that sleeps in the sandbox. */
import { Sandbox } from '../../lib/sandbox';

async function main(mark: string, bubblewrap?: string): Promise<void> {
  const sandbox = await Sandbox.open({ bubblewrap });
  const source = 'import os, time\nos.fork()\ntime.sleep(60)';
  const command = [sandbox.python, '/box/main.py', mark];
  const running = sandbox.run({ command, files: { 'main.py': source }, timeoutMs: 60_000 });
  process.stdout.write('started\n');
  await running;
}

void main(process.argv[2]!, process.argv[3]);
