/** `lsp eval alpacaeval` from outside, with a judge behind an endpoint: cost, keys, faults, kill -9. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refuses, says, startChatServer, type ChatServer } from '../support/chat-server';
import { launch, lsp, values } from './support';

const KEY = 'sk-a-secret-that-nobody-may-see';
let folder: string;
let data: string;
let server: ChatServer;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lsp-alpacaeval-'));
  data = join(folder, 'rows.json');
  const rows = Array.from({ length: 6 }, (_, i) => ({
    instruction: `Sort: k c ${'abcdef'[i]}`,
    output: `c k ${i}`,
    dataset: i % 2 === 0 ? 'koala' : 'vicuna',
    generator: 'somebody',
  }));
  await writeFile(data, JSON.stringify(rows));
  server = await startChatServer(says('A', { A: 0.75, B: 0.25 }));
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

const args = (...more: string[]) => [
  ...['eval', 'alpacaeval', '--model', 'tiny', '--data', data, '--max-new-tokens', '6', '--threads', '1'],
  ...['--out', join(folder, 'out'), '--judge', 'judge-1', '--base-url', server.baseUrl, ...more],
];
const env = () => ({ OPENAI_API_KEY: KEY, XDG_CACHE_HOME: join(folder, 'cache') });

describe('lsp eval alpacaeval', () => {
  it('tells what it costs, and then judges each pair in both orders', async () => {
    const estimated = await lsp(args('--estimate', '--price-prompt', '1', '--json'), { env: env() });
    expect(estimated.code).toBe(0);
    expect(values(estimated.stdout)).toEqual([
      { estimate: expect.objectContaining({ calls: 12, cachedCalls: 0 }) as object },
    ]);
    expect(server.calls).toHaveLength(0);

    const { code, stdout, stderr } = await lsp(args('--json'), { env: env() });
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/called 12 times/) as string,
    });
    const [result] = values(stdout);
    // A judge that always prefers the first place gives a half.
    expect(result).toMatchObject({ judged: 6, failed: [] });
    expect((result!.metrics as { name: string; value: number }[])[0]).toMatchObject({
      name: 'win_rate',
      value: 0.5,
    });
    expect(server.calls.every(({ headers }) => headers.authorization === `Bearer ${KEY}`)).toBe(true);
    for (const name of ['config.json', 'results.jsonl', 'answers.jsonl', 'summary.json']) {
      expect(await readFile(join(folder, 'out', name), 'utf8')).not.toContain(KEY);
    }
    expect(stdout + stderr).not.toContain(KEY);
  });

  it('reports what could not be judged, and asks only for that when it is run again', async () => {
    server.react = (call, response) =>
      JSON.stringify(call.body).includes('k c b')
        ? refuses(400, 'not this one')(call, response)
        : says('A', { A: 0.75, B: 0.25 })(call, response);
    const first = await lsp(args(), { env: env() });
    expect(first.code).toBe(1);
    expect(first.stderr).toMatch(/1 item was not judged/);
    const before = server.calls.length;
    server.react = says('B', { A: 0.25, B: 0.75 });
    const second = await lsp(args(), { env: env() });
    expect(second.code).toBe(0);
    expect(server.calls.length - before).toBe(2);
    expect(second.stdout).toMatch(/ 6\n/);
  });

  it('pays for no answer twice after kill -9', async () => {
    let killed: (() => void) | undefined;
    const reached = new Promise<void>((resolve) => (killed = resolve));
    server.react = (call, response) => {
      if (call.index < 5) return says('A', { A: 0.75, B: 0.25 })(call, response);
      killed!(); // and nobody answers this one
    };
    const running = launch(args('--concurrency', '1'), { env: env() });
    await reached;
    running.child.kill('SIGKILL');
    await running.finished;
    const before = server.calls.length;
    server.react = says('A', { A: 0.75, B: 0.25 });
    const { code } = await lsp(args('--concurrency', '1'), { env: env() });
    expect(code).toBe(0);
    expect(server.calls.length - before).toBe(12 - 5);
  });

  it('ends at once, with everything kept, where the key is wrong', async () => {
    server.react = refuses(401, 'no such key');
    const { code, stderr } = await lsp(args(), { env: env() });
    expect(code).toBe(1);
    expect(stderr).toMatch(/401/);
    expect(stderr).not.toContain(KEY);
    expect((await readFile(join(folder, 'out', 'answers.jsonl'), 'utf8')).trim().split('\n')).toHaveLength(6);
  });

  it('wants one judge', async () => {
    const none = await lsp(['eval', 'alpacaeval', '--model', 'tiny', '--data', data]);
    expect(none).toMatchObject({ code: 2, stderr: expect.stringMatching(/received none/) as string });
    const two = await lsp(args('--judge-model', 'tiny'), { env: env() });
    expect(two).toMatchObject({ code: 2, stderr: expect.stringMatching(/received 2/) as string });
  });
});
