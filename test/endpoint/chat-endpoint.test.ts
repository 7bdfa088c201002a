/** The endpoint against a server that says, and does wrong, whatever a test wants. */
import { createServer, type AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import {
  ChatEndpoint,
  type ChatEndpointOptions,
  type ChatOutcome,
  type ChatRequest,
} from '../../lib/endpoint';
import { expectError, errorOf, rejectionOf } from '../support/errors';
import {
  completion,
  inTurn,
  refuses,
  says,
  sendJson,
  startChatServer,
  type ChatServer,
  type Reaction,
} from '../support/chat-server';

const KEY = 'sk-test-0123456789abcdef';
let server: ChatServer;

beforeEach(async () => {
  process.env['LSP_TEST_KEY'] = KEY;
  server = await startChatServer(says('hello'));
});
afterEach(async () => {
  await server.close();
  delete process.env['LSP_TEST_KEY'];
  delete process.env['OPENAI_BASE_URL'];
});

const ask = (content: string, more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: 'user', content }],
  ...more,
});

/** Fast retries, and no cache, which has tests of its own. */
function endpointOf(options: Partial<ChatEndpointOptions> = {}): ChatEndpoint {
  return new ChatEndpoint({
    model: 'judge-1',
    baseUrl: server.baseUrl,
    apiKeyVariable: 'LSP_TEST_KEY',
    cache: false,
    retryDelayMs: 1,
    ...options,
  });
}

function textOf(outcome: ChatOutcome | undefined): string {
  if (!outcome || 'failed' in outcome) throw new Error(`no answer: ${JSON.stringify(outcome)}`);
  return outcome.answer.text;
}

function failureOf(outcome: ChatOutcome | undefined): string {
  if (!outcome || !('failed' in outcome)) throw new Error(`no failure: ${JSON.stringify(outcome)}`);
  return outcome.failed;
}

describe('a call', () => {
  it('is sent with its fields, and its answer is read', async () => {
    server.react = says('yes', { yes: 0.75, no: 0.25 });
    const endpoint = endpointOf({ temperature: 0.5, maxTokens: 7, seed: 3, topLogprobs: 2 });
    const [outcome] = await endpoint.complete([ask('Really?')]);
    expect(outcome).toEqual({
      cached: false,
      answer: {
        text: 'yes',
        finishReason: 'stop',
        usage: { promptTokens: 10, completionTokens: 1 },
        tokens: [
          {
            token: 'yes',
            logprob: Math.log(0.75),
            top: [
              { token: 'yes', logprob: Math.log(0.75) },
              { token: 'no', logprob: Math.log(0.25) },
            ],
          },
        ],
      },
    });
    const [call] = server.calls;
    expect(call!.url).toBe('POST /v1/chat/completions');
    expect(call!.headers.authorization).toBe(`Bearer ${KEY}`);
    expect(call!.body).toEqual({
      model: 'judge-1',
      messages: [{ role: 'user', content: 'Really?' }],
      temperature: 0.5,
      max_tokens: 7,
      seed: 3,
      logprobs: true,
      top_logprobs: 2,
    });
  });

  it('has defaults, settings of its own, and fields that the caller adds and takes away', async () => {
    const endpoint = endpointOf({
      extraBody: { max_tokens: null, reasoning_effort: 'low', max_completion_tokens: 100 },
    });
    await endpoint.complete([ask('a', { temperature: 1, seed: 9 })]);
    expect(server.calls[0]!.body).toEqual({
      model: 'judge-1',
      messages: [{ role: 'user', content: 'a' }],
      temperature: 1,
      seed: 9,
      reasoning_effort: 'low',
      max_completion_tokens: 100,
    });
  });

  it('keeps the order, asks equal requests once, and reports progress', async () => {
    server.react = async ({ body }, response) => {
      const { content } = body.messages[0]!;
      await new Promise((resolve) => setTimeout(resolve, content === 'a' ? 60 : 1));
      sendJson(response, completion(content.toUpperCase()));
    };
    const progress: string[] = [];
    const outcomes = await endpointOf().complete([ask('a'), ask('b'), ask('a'), ask('c')], {
      onProgress: ({ done, total }) => progress.push(`${done}/${total}`),
    });
    expect(outcomes.map(textOf)).toEqual(['A', 'B', 'A', 'C']);
    expect(server.calls).toHaveLength(3);
    expect(progress).toEqual(['1/3', '2/3', '3/3']);
  });

  it('has at most `concurrency` others beside it, over all uses of the endpoint', async () => {
    server.react = async (_, response) => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      sendJson(response, completion('x'));
    };
    const endpoint = endpointOf({ concurrency: 3 });
    const many = (name: string) => endpoint.complete(Array.from({ length: 8 }, (_, i) => ask(`${name}${i}`)));
    await Promise.all([many('a'), many('b')]);
    expect(server.calls).toHaveLength(16);
    expect(server.mostOpen).toBe(3);
  });

  it('without log-probabilities, or with some that cannot be read, is an answer all the same', async () => {
    const reply = completion('yes') as { choices: { logprobs: unknown }[] };
    reply.choices[0]!.logprobs = { content: [{ token: 'yes', logprob: 'high' }] };
    server.react = inTurn(says('yes'), (_, response) => sendJson(response, reply));
    for (const outcome of await endpointOf().complete([ask('a'), ask('b')])) {
      expect(outcome).toMatchObject({ answer: { text: 'yes', tokens: null } });
    }
  });

  it('may have an empty answer', async () => {
    const reply = completion('') as { choices: { message: { content: unknown } }[] };
    reply.choices[0]!.message.content = null;
    server.react = inTurn(says(''), (_, response) => sendJson(response, reply));
    const outcomes = await endpointOf().complete([ask('a'), ask('b')]);
    expect(outcomes.map(textOf)).toEqual(['', '']);
  });
});

const RAW = (text: string, headers: Record<string, string | number> = {}, status = 200): Reaction => {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(text);
  };
};
const cutConnection: Reaction = (_, response) => {
  response.socket?.destroy();
};
const truncated: Reaction = (_, response) => {
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
  response.write('{"choices": [');
  setTimeout(() => response.socket?.destroy(), 5);
};

/** What may pass: what the server does, and what is said about it when it does not. */
const PASSING: [string, Reaction, RegExp][] = [
  ['status 500', refuses(500, 'oops'), /^status 500: "oops"$/],
  [
    'status 503 with a page',
    RAW('<html>\n<h1>Bad\nday</h1>', { 'content-type': 'text/html' }, 503),
    /^status 503: "<html> <h1>Bad day/,
  ],
  ['status 429', refuses(429, 'slow down'), /^status 429: "slow down"$/],
  ['status 408', refuses(408), /^status 408/],
  ['status 204', RAW('', {}, 204), /^status 204/],
  ['a connection cut before the reply', cutConnection, /^a connection that was closed$/],
  ['a connection cut in the reply', truncated, /^a connection that was closed$/],
  [
    'an HTML page with status 200',
    RAW('<html>login</html>', { 'content-type': 'text/html' }),
    /content type "text\/html" .*<html>login/,
  ],
  ['no content type', RAW('{}', { 'content-type': '' }), /content type ""/],
  ['half of a JSON', RAW('{"choices": [{"mess'), /^a reply that is no JSON: /],
  ['an empty body', RAW(''), /^a reply that is no JSON: ""$/],
  ['JSON that is no object', RAW('[1]'), /no object/],
  ['no choices', RAW('{"id": 1}'), /without choices/],
  ['empty choices', RAW('{"choices": []}'), /without choices/],
  ['a choice that is null', RAW('{"choices": [null]}'), /without a message/],
  ['a message that is text', RAW('{"choices": [{"message": "hi"}]}'), /without a message/],
  ['a content that is a number', RAW('{"choices": [{"message": {"content": 5}}]}'), /content is no text/],
  ['an error with status 200', RAW('{"error": {"message": "overloaded"}}'), /overloaded/],
  [
    'a reply too large',
    RAW(JSON.stringify(completion('x'.repeat(5000)))),
    /^a reply of more than 2000 bytes$/,
  ],
];

describe('what may pass is tried again', () => {
  it.each(PASSING)('%s', async (_name, reaction) => {
    server.react = inTurn(reaction, reaction, says('at last'));
    const [outcome] = await endpointOf({ maxResponseBytes: 2000 }).complete([ask('a')]);
    expect(textOf(outcome)).toBe('at last');
    expect(server.calls).toHaveLength(3);
  });

  it.each(PASSING)('and then reported in its place: %s', async (_name, reaction, message) => {
    server.react = (call, response) =>
      (call.body.messages[0]!.content === 'bad' ? reaction : says('good'))(call, response);
    const endpoint = endpointOf({ maxRetries: 1, maxResponseBytes: 2000 });
    const outcomes = await endpoint.complete([ask('a'), ask('bad'), ask('c')]);
    expect(failureOf(outcomes[1])).toMatch(message);
    expect([textOf(outcomes[0]), textOf(outcomes[2])]).toEqual(['good', 'good']);
    expect(server.calls).toHaveLength(4);
  });

  it('nobody there', async () => {
    const free = createServer();
    await new Promise<void>((resolve) => free.listen(0, '127.0.0.1', resolve));
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const endpoint = endpointOf({ baseUrl: `http://127.0.0.1:${port}/v1`, maxRetries: 1 });
    expect(failureOf((await endpoint.complete([ask('a')]))[0])).toBe('no reply: ECONNREFUSED');
  });

  it('a server that does not speak HTTP', async () => {
    const garbage = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.resume();
      socket.end(`\u0000\u0001 ${KEY} nonsense\r\n\r\n`);
    });
    await new Promise<void>((resolve) => garbage.listen(0, '127.0.0.1', resolve));
    const { port } = garbage.address() as AddressInfo;
    const endpoint = endpointOf({ baseUrl: `http://127.0.0.1:${port}/v1`, maxRetries: 1 });
    const [outcome] = await endpoint.complete([ask('a')]);
    await new Promise((resolve) => garbage.close(resolve));
    expect(failureOf(outcome)).toBe('no reply: HTTPParserError');
  });
});

describe('time', () => {
  it('bounds a server that is silent, and the next attempt may do better', async () => {
    server.react = inTurn(() => undefined, says('late'));
    const [outcome] = await endpointOf({ timeoutMs: 100 }).complete([ask('a')]);
    expect(textOf(outcome)).toBe('late');
  });

  it('bounds a server that sends byte by byte', async () => {
    const timers: NodeJS.Timeout[] = [];
    server.react = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      timers.push(setInterval(() => response.write(' '), 10));
    };
    const startMs = performance.now();
    const [outcome] = await endpointOf({ timeoutMs: 200, maxRetries: 0 }).complete([ask('a')]);
    timers.forEach((timer) => clearInterval(timer));
    expect(failureOf(outcome)).toBe('no whole reply within 200 ms');
    // A machine under load may take its time, but not the minutes that the server would.
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  it('grows between attempts, with a random part', async () => {
    server.react = refuses(500);
    await endpointOf({ maxRetries: 3, retryDelayMs: 40 }).complete([ask('a')]);
    const gaps = server.calls.slice(1).map(({ atMs }, i) => atMs - server.calls[i]!.atMs);
    // 40, 80, 160 ms times [1, 2); timers may fire a millisecond early, and late as they like.
    [40, 80, 160].forEach((least, i) => expect(gaps[i]).toBeGreaterThanOrEqual(least - 2));
  });

  it.each([
    ['seconds', { 'retry-after': '1' }],
    ['milliseconds', { 'retry-after-ms': '1000' }],
  ])('that the server asks for is kept, by all calls: %s', async (_name, headers) => {
    server.react = inTurn(refuses(429, 'wait', headers), says('ok'));
    const endpoint = endpointOf({ concurrency: 1 });
    const outcomes = await endpoint.complete([ask('a'), ask('b')]);
    expect(outcomes.map(textOf)).toEqual(['ok', 'ok']);
    for (const { atMs } of server.calls.slice(1)) {
      expect(atMs - server.calls[0]!.atMs).toBeGreaterThanOrEqual(998);
    }
  });

  it('that the server asks for may be a date', async () => {
    const date = new Date(Date.now() + 2000);
    server.react = inTurn(refuses(503, 'wait', { 'retry-after': date.toUTCString() }), says('ok'));
    expect(textOf((await endpointOf().complete([ask('a')]))[0])).toBe('ok');
    // A date of HTTP has whole seconds.
    expect(server.calls[1]!.atMs - server.calls[0]!.atMs).toBeGreaterThanOrEqual(900);
  });

  it('that is too long to wait ends the call', async () => {
    server.react = refuses(429, 'tomorrow', { 'retry-after': '86400' });
    const [outcome] = await endpointOf().complete([ask('a')]);
    expect(failureOf(outcome)).toBe('status 429: "tomorrow", and to come back after 86400 s');
    expect(server.calls).toHaveLength(1);
  });
});

describe('what concerns this call alone is reported at once', () => {
  it.each([400, 413, 422])('status %d', async (status) => {
    server.react = (call, response) =>
      (call.body.messages[0]!.content === 'bad' ? refuses(status, 'too long') : says('ok'))(call, response);
    const outcomes = await endpointOf().complete([ask('bad'), ask('b')]);
    expect(outcomes[0]).toEqual({ failed: `status ${status}: "too long"`, status });
    expect(textOf(outcomes[1])).toBe('ok');
    expect(server.calls).toHaveLength(2);
  });
});

describe('what would end every call is thrown', () => {
  const FATAL: [string, Reaction, RegExp][] = [
    [
      'a wrong key',
      refuses(401, 'bad key'),
      /401: "bad key"\. Check the key in the environment variable LSP_TEST_KEY/,
    ],
    ['no permission', refuses(403), /403/],
    [
      'an unknown model',
      refuses(404, 'no such model'),
      /404: "no such model"\. Check `model` \("judge-1"\) and `baseUrl`/,
    ],
    ['no credit', refuses(402), /402.*Add credit/],
    [
      'no quota',
      (_, response) => sendJson(response, { error: { message: 'quota', code: 'insufficient_quota' } }, 429),
      /429.*Add credit/,
    ],
    [
      'another address',
      RAW('', { location: 'https://other.example/v1' }, 307),
      /307, which points to "https:\/\/other/,
    ],
  ];
  it.each(FATAL)('%s', async (_name, reaction, message) => {
    server.react = reaction;
    const requests = Array.from({ length: 20 }, (_, i) => ask(String(i)));
    const error = await rejectionOf(endpointOf({ concurrency: 2 }).complete(requests));
    expectError(error, 'ENDPOINT_FAILED', message);
    // The others were not asked, but for the one that was under way.
    expect(server.calls.length).toBeLessThanOrEqual(2);
  });

  it('and ends calls that are under way', async () => {
    server.react = (call, response) => {
      if (call.body.messages[0]!.content === 'bad') setTimeout(() => void refuses(401)(call, response), 30);
    };
    await rejectionOf(endpointOf().complete([ask('slow'), ask('bad')]));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(server.cut).toBe(1);
  });

  it('says that no key was sent', async () => {
    delete process.env['OPENAI_API_KEY'];
    server.react = refuses(401);
    const error = await rejectionOf(endpointOf({ apiKeyVariable: undefined }).complete([ask('a')]));
    expect(error.message).toContain('No key was sent: set it in the environment variable OPENAI_API_KEY');
    expect(server.calls[0]!.headers.authorization).toBeUndefined();
  });
});

describe('an abort', () => {
  const silent: Reaction = () => undefined;
  const abortCases: [string, Reaction][] = [
    ['of calls under way', silent],
    ['between attempts', refuses(500)],
    ['while the server wants a pause', refuses(429, 'wait', { 'retry-after': '100' })],
  ];
  it.each(abortCases)('%s rejects at once with its reason', async (_name, reaction) => {
    server.react = reaction;
    const controller = new AbortController();
    const requests = Array.from({ length: 50 }, (_, i) => ask(String(i)));
    const asked = endpointOf({ retryDelayMs: 20_000 }).complete(requests, { signal: controller.signal });
    const rejected = expect(asked).rejects.toBe('enough');
    while (server.calls.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    const startMs = performance.now();
    controller.abort('enough');
    await rejected;
    expect(performance.now() - startMs).toBeLessThan(2000);
    expect(server.calls).toHaveLength(4);
  });

  it('before the start asks nothing', async () => {
    const signal = AbortSignal.abort(new Error('no'));
    await expect(endpointOf().complete([ask('a')], { signal })).rejects.toThrow('no');
    expect(server.calls).toHaveLength(0);
  });

  it('leaves the endpoint as it was', async () => {
    server.react = silent;
    const endpoint = endpointOf({ concurrency: 1 });
    await expect(endpoint.complete([ask('a')], { signal: AbortSignal.timeout(50) })).rejects.toThrow();
    server.react = says('fine');
    expect(textOf((await endpoint.complete([ask('a')]))[0])).toBe('fine');
  });
});

describe('options', () => {
  it.each<[string, Partial<ChatEndpointOptions> | object, string, RegExp]>([
    ['a misspelt option', { modell: 'x' }, 'UNKNOWN_OPTION', /`model`/],
    ['a key as an option', { apiKey: KEY }, 'UNKNOWN_OPTION', /apiKey/],
    ['no model', { model: '' }, 'INVALID_ARGUMENT', /`model`/],
    ['no address', { baseUrl: 'localhost:8000' }, 'INVALID_ARGUMENT', /`baseUrl`/],
    ['another protocol', { baseUrl: 'ftp://example.com' }, 'INVALID_ARGUMENT', /`baseUrl`/],
    ['http to another machine', { baseUrl: 'http://example.com/v1' }, 'INVALID_ARGUMENT', /allowHttp/],
    [
      'http to a name that only begins so',
      { baseUrl: 'http://localhost.example.com' },
      'INVALID_ARGUMENT',
      /allowHttp/,
    ],
    ['a variable that is not set', { apiKeyVariable: 'LSP_NOT_SET' }, 'INVALID_ARGUMENT', /LSP_NOT_SET/],
    ['no retries', { maxRetries: -1 }, 'INVALID_ARGUMENT', /`maxRetries`/],
    ['no time', { timeoutMs: 0 }, 'INVALID_ARGUMENT', /`timeoutMs`/],
    ['messages in extraBody', { extraBody: { messages: [] } }, 'INVALID_ARGUMENT', /`messages`/],
  ])('%s', (_name, options, code, message) => {
    expectError(
      errorOf(() => endpointOf(options)),
      code as never,
      message,
    );
  });

  it('a user and a password, or a query, are refused without showing them', () => {
    for (const baseUrl of ['https://me:secret@example.com/v1', 'https://example.com/v1?api-key=secret']) {
      const error = errorOf(() => endpointOf({ baseUrl }));
      expect(error.code).toBe('INVALID_ARGUMENT');
      expect(error.message).not.toContain('secret');
    }
  });

  it('addresses in their forms', () => {
    const baseUrlOf = (baseUrl: string, more = {}) => endpointOf({ baseUrl, ...more }).baseUrl;
    expect(baseUrlOf('https://example.com/v1/')).toBe('https://example.com/v1');
    expect(baseUrlOf('https://example.com/v1/chat/completions')).toBe('https://example.com/v1');
    expect(baseUrlOf('http://[::1]:8080/v1')).toBe('http://[::1]:8080/v1');
    expect(baseUrlOf('http://10.0.0.5/v1', { allowHttp: true })).toBe('http://10.0.0.5/v1');
    expect(endpointOf({ baseUrl: undefined }).baseUrl).toBe('https://api.openai.com/v1');
    process.env['OPENAI_BASE_URL'] = 'https://example.org/v1';
    expect(endpointOf({ baseUrl: undefined }).baseUrl).toBe('https://example.org/v1');
  });

  it('requests of another shape', async () => {
    const endpoint = endpointOf();
    const code = async (request: unknown) => (await rejectionOf(endpoint.complete([request as never]))).code;
    expect(await code({ messages: [] })).toBe('INVALID_ARGUMENT');
    expect(await code({ messages: [{ role: 'user' }] })).toBe('INVALID_ARGUMENT');
    expect(await code({ messages: [null] })).toBe('INVALID_ARGUMENT');
    expect(await code(ask('a', { topLogprobs: 21 }))).toBe('INVALID_ARGUMENT');
    expect(await code({ ...ask('a'), top: 1 })).toBe('UNKNOWN_OPTION');
    expect(server.calls).toHaveLength(0);
  });
});

describe('the key', () => {
  it('is not in what the endpoint shows of itself', () => {
    const endpoint = endpointOf();
    const shown = [
      inspect(endpoint, { depth: 9, showHidden: true }),
      JSON.stringify(endpoint),
      JSON.stringify(endpoint.settings),
    ];
    for (const text of shown) expect(text).not.toContain(KEY);
  });

  it('is taken out of what a server repeats', async () => {
    server.react = (call, response) =>
      refuses(400, `bad: ${call.headers.authorization ?? ''}`)(call, response);
    expect(failureOf((await endpointOf().complete([ask('a')]))[0])).toBe('status 400: "bad: Bearer [key]"');
    server.react = (call, response) =>
      refuses(401, `bad: ${call.headers.authorization ?? ''}`)(call, response);
    const error = await rejectionOf(endpointOf().complete([ask('a')]));
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(KEY);
    server.react = says(`your key is ${KEY}`);
    expect(textOf((await endpointOf().complete([ask('a')]))[0])).toBe('your key is [key]');
  });

  it('that cannot be one is not shown', () => {
    process.env['LSP_TEST_KEY'] = 'sk-two\nlines-secret';
    const error = errorOf(() => endpointOf());
    expectError(error, 'INVALID_ARGUMENT', /LSP_TEST_KEY/);
    expect(error.message).not.toContain('secret');
  });
});
