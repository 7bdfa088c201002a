/** What was paid for is not asked again: the cache of answers, and a process that is killed in the middle. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import * as fsPromises from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChatEndpoint, type ChatEndpointOptions, type ChatRequest } from '../../lib/endpoint';
import type { LspError } from '../../lib/errors';
import { completion, says, sendJson, startChatServer, type ChatServer } from '../support/chat-server';
import { rejectionOf } from '../support/errors';

const KEY = 'sk-test-0123456789abcdef';
let server: ChatServer;
let directory: string;

beforeEach(async () => {
  process.env['LSP_TEST_KEY'] = KEY;
  directory = mkdtempSync(join(tmpdir(), 'lsp-answers-'));
  server = await startChatServer(says('yes', { yes: 0.75, no: 0.25 }));
});
afterEach(async () => {
  await server.close();
  delete process.env['LSP_TEST_KEY'];
  rmSync(directory, { recursive: true, force: true });
});

function endpointOf(options: Partial<ChatEndpointOptions> = {}): ChatEndpoint {
  return new ChatEndpoint({
    model: 'judge-1',
    baseUrl: server.baseUrl,
    apiKeyVariable: 'LSP_TEST_KEY',
    cache: join(directory, 'cache'),
    retryDelayMs: 1,
    topLogprobs: 2,
    ...options,
  });
}

const ask = (content: string, more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: 'user', content }],
  ...more,
});
const files = () => readdirSync(join(directory, 'cache')).map((name) => join(directory, 'cache', name));

describe('the cache', () => {
  it('gives the same answer to the same request, to another endpoint object too', async () => {
    const [first] = await endpointOf().complete([ask('a')]);
    const [second] = await endpointOf().complete([ask('a')]);
    expect(first).toMatchObject({ cached: false });
    expect(second).toEqual({ ...first, cached: true });
    expect(server.calls).toHaveLength(1);
  });

  it('knows requests apart by whatever decides the answer', async () => {
    await endpointOf().complete([ask('a')]);
    await endpointOf().complete([
      ask('b'),
      ask('a', { seed: 1 }),
      ask('a', { temperature: 1 }),
      ask('a', { maxTokens: 2 }),
    ]);
    await endpointOf({ model: 'judge-2' }).complete([ask('a')]);
    await endpointOf({ topLogprobs: 3 }).complete([ask('a')]);
    await endpointOf({ extraBody: { top_k: 1 } }).complete([ask('a')]);
    expect(server.calls).toHaveLength(8);
    expect(files()).toHaveLength(8);
    expect(files().every((name) => /\/[0-9a-f]{64}\.json$/.test(name))).toBe(true);
  });

  it('is no reason to fail for a key that is not set any more', async () => {
    await endpointOf().complete([ask('a')]);
    delete process.env['LSP_TEST_KEY'];
    const [outcome] = await endpointOf({ apiKeyVariable: undefined }).complete([ask('a')]);
    expect(outcome).toMatchObject({ cached: true });
  });

  it('has no key in it, even if the server repeats it', async () => {
    server.react = says(`your key is ${KEY}`);
    await endpointOf().complete([ask('a')]);
    const text = readFileSync(files()[0]!, 'utf8');
    expect(text).toContain('your key is [key]');
    expect(text).not.toContain(KEY);
    expect(text).not.toContain('LSP_TEST_KEY');
  });

  const DAMAGE: [string, (text: string) => string][] = [
    ['empty', () => ''],
    ['torn', (text) => text.slice(0, text.length / 2)],
    ['zeros', (text) => '\0'.repeat(text.length)],
    ['of another version', (text) => text.replace('"format":1', '"format":9')],
    ['of another request', (text) => text.replace('"content":"a"', '"content":"b"')],
    ['of another address', (text) => text.replace('"url":"http', '"url":"ftp')],
    ['without its text', (text) => text.replace('"text":"yes"', '"text":7')],
    ['with broken log-probabilities', (text) => text.replace(/"logprob":[-.\d]+/, '"logprob":"x"')],
    ['null', () => 'null'],
  ];
  it.each(DAMAGE)('ignores a file that is %s, and writes it anew', async (_name, damage) => {
    const warnings: LspError[] = [];
    const endpoint = endpointOf({ onWarning: (warning) => warnings.push(warning) });
    const [first] = await endpoint.complete([ask('a')]);
    const [path] = files();
    const text = readFileSync(path!, 'utf8');
    expect(damage(text)).not.toBe(text);
    writeFileSync(path!, damage(text));
    expect(await endpoint.complete([ask('a')])).toEqual([first]);
    expect(server.calls).toHaveLength(2);
    expect(readFileSync(path!, 'utf8')).toBe(text);
    expect(warnings).toEqual([]);
  });

  it('does not keep failures', async () => {
    server.react = (_, response) => sendJson(response, { error: 'no' }, 400);
    await endpointOf().complete([ask('a')]);
    server.react = says('yes');
    expect(await endpointOf().complete([ask('a')])).toMatchObject([{ answer: { text: 'yes' } }]);
  });

  it('forgets what it is told to', async () => {
    const endpoint = endpointOf();
    await endpoint.complete([ask('a'), ask('b')]);
    await endpoint.forget([ask('a'), ask('never asked')]);
    await endpoint.complete([ask('a'), ask('b')]);
    expect(server.calls.map(({ body }) => body.messages[0]!.content).sort()).toEqual(['a', 'a', 'b']);
  });

  it('keeps what came before an error that ends all', async () => {
    server.react = (call, response) => {
      if (call.index < 2) sendJson(response, completion('ok'));
      else sendJson(response, { error: 'key' }, 401);
    };
    const requests = ['a', 'b', 'c', 'd'].map((content) => ask(content));
    await rejectionOf(endpointOf({ concurrency: 1 }).complete(requests));
    server.react = says('ok');
    await endpointOf().complete(requests);
    expect(server.calls.map(({ body }) => body.messages[0]!.content).sort()).toEqual([
      'a',
      'b',
      'c',
      'c',
      'd',
    ]);
  });
});

describe('a cache that fails costs no answer, and is told once', () => {
  it('a full disk', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), {
      code: 'ENOSPC',
      syscall: 'write',
    });
    const probe = await fsPromises.open(join(directory, 'probe'), 'w');
    const fileHandle = Object.getPrototypeOf(probe) as { writeFile: () => Promise<void> };
    await probe.close();
    const write = jest.spyOn(fileHandle, 'writeFile').mockRejectedValue(full);
    const warnings: LspError[] = [];
    const endpoint = endpointOf({ onWarning: (warning) => warnings.push(warning) });
    const outcomes = await endpoint.complete([ask('a'), ask('b')]);
    expect(outcomes).toMatchObject([{ answer: { text: 'yes' } }, { answer: { text: 'yes' } }]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ code: 'IO_ERROR' });
    expect(warnings[0]!.message).toMatch(/write .*ENOSPC\. The disk is full/);
    expect(files()).toEqual([]); // no part of a file either
    write.mockRestore();
    expect(await endpoint.complete([ask('a')])).toMatchObject([{ cached: false }]);
    expect(files()).toHaveLength(1);
  });

  it('a path that is a file', async () => {
    writeFileSync(join(directory, 'cache'), '');
    const warnings: LspError[] = [];
    const endpoint = endpointOf({ onWarning: (warning) => warnings.push(warning) });
    expect(await endpoint.complete([ask('a'), ask('b')])).toMatchObject([
      { cached: false },
      { cached: false },
    ]);
    expect(warnings.map(({ code }) => code)).toEqual(['IO_ERROR']);
  });

  it('by default through a warning of the process', async () => {
    writeFileSync(join(directory, 'cache'), '');
    const emit = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    await endpointOf().complete([ask('a')]);
    expect(emit).toHaveBeenCalledTimes(1);
    expect(emit.mock.calls[0]![0]).toMatch(/ENOTDIR.*Answers are used, but not kept\.$/);
  });

  it('comes back when its directory does', async () => {
    const endpoint = endpointOf();
    await endpoint.complete([ask('a')]);
    rmSync(join(directory, 'cache'), { recursive: true });
    const warnings: LspError[] = [];
    const other = endpointOf({ onWarning: (warning) => warnings.push(warning) });
    await other.complete([ask('b')]);
    expect(files()).toHaveLength(1);
    expect(warnings).toEqual([]);
  });

  it('its files are for their owner alone', async () => {
    await endpointOf().complete([ask('a')]);
    expect((await fsPromises.stat(files()[0]!)).mode & 0o777).toBe(0o600);
  });
});

describe('an estimate', () => {
  it('counts what the cache cannot answer, and sends nothing', async () => {
    const endpoint = endpointOf({ maxTokens: 50 });
    await endpoint.complete([ask('seen')]);
    const requests = [
      ask('seen'),
      ask('x'.repeat(400)),
      ask('x'.repeat(400)),
      ask('y'.repeat(41), { maxTokens: 7 }),
    ];
    await expect(endpoint.estimate(requests)).resolves.toEqual({
      calls: 2,
      cachedCalls: 1,
      promptTokens: 100 + 11,
      completionTokens: 57,
      countedBy: 'characters',
    });
    const prices = { prompt: 2.5, completion: 10 };
    const countTokens = (text: string) => text.length;
    await expect(endpoint.estimate(requests, { countTokens, prices })).resolves.toEqual({
      calls: 2,
      cachedCalls: 1,
      promptTokens: 441,
      completionTokens: 57,
      countedBy: 'tokenizer',
      cost: (441 * 2.5 + 57 * 10) / 1e6,
    });
    expect(server.calls).toHaveLength(1);
  });

  it('knows the field that takes the place of max_tokens, and refuses bad prices', async () => {
    const endpoint = endpointOf({ extraBody: { max_tokens: null, max_completion_tokens: 30 } });
    await expect(endpoint.estimate([ask('a')])).resolves.toMatchObject({ completionTokens: 30 });
    const prices = { prompt: -1, completion: 1 };
    expect((await rejectionOf(endpoint.estimate([ask('a')], { prices }))).code).toBe('INVALID_ARGUMENT');
    const misspelt = { prompt: 1, output: 1 } as never;
    expect((await rejectionOf(endpoint.estimate([ask('a')], { prices: misspelt }))).code).toBe(
      'UNKNOWN_OPTION',
    );
  });
});

describe('a process that is killed', () => {
  it('asks only for what is missing when it runs again', async () => {
    const script = join(directory, 'run.cjs');
    writeFileSync(
      script,
      `const { ChatEndpoint } = require(${JSON.stringify(join(__dirname, '../../lib/endpoint'))});
      const endpoint = new ChatEndpoint({
        model: 'judge-1', baseUrl: ${JSON.stringify(server.baseUrl)}, apiKeyVariable: 'LSP_TEST_KEY',
        cache: ${JSON.stringify(join(directory, 'cache'))}, concurrency: 2,
      });
      const requests = Array.from({ length: 12 }, (_, i) => ({ messages: [{ role: 'user', content: 'question ' + i }] }));
      endpoint.complete(requests, { onProgress: ({ done }) => console.log('done ' + done) })
        .then((outcomes) => console.log(JSON.stringify(outcomes.map((o) => [o.answer.text, o.cached]))));`,
    );
    const register = require.resolve('ts-node/register/transpile-only');
    const start = () =>
      spawn(process.execPath, ['--require', register, script], {
        cwd: join(__dirname, '../..'),
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env },
      });
    const outputOf = (child: ReturnType<typeof start>, onText: (text: string) => void = () => undefined) =>
      new Promise<{ output: string; signal: NodeJS.Signals | null }>((resolve) => {
        let output = '';
        child.stdout.on('data', (chunk: Buffer) => onText((output += chunk.toString())));
        child.on('close', (_, signal) => resolve({ output, signal }));
      });
    // The sixth call and later ones are never answered.
    const reply = (content: string) => `answer to ${content}`;
    server.react = (call, response) => {
      if (call.index < 5) sendJson(response, completion(reply(call.body.messages[0]!.content)));
    };
    const killed = start();
    const first = await outputOf(killed, (output) => {
      if (output.includes('done 5')) killed.kill('SIGKILL');
    });
    expect(first.signal).toBe('SIGKILL');
    const asked = server.calls.map(({ body }) => body.messages[0]!.content);
    expect(asked.length).toBeLessThanOrEqual(7);
    expect(files().filter((name) => name.endsWith('.json'))).toHaveLength(5);

    server.calls.length = 0;
    server.react = (call, response) => sendJson(response, completion(reply(call.body.messages[0]!.content)));
    const { output } = await outputOf(start());
    const outcomes = JSON.parse(output.trim().split('\n').at(-1)!) as [string, boolean][];
    expect(outcomes.map(([text]) => text)).toEqual(
      Array.from({ length: 12 }, (_, i) => reply(`question ${i}`)),
    );
    expect(outcomes.filter(([, cached]) => cached)).toHaveLength(5);
    expect(server.calls).toHaveLength(7); // 12 questions, 5 of them answered before the end
  });
});
