/** What the endpoint does about a server, or a line to it, that does wrong, and about an abort. */
import { createServer, type AddressInfo } from 'node:net';
import { completion, inTurn, refuses, says, sendJson, type Reaction } from '../support/chat-server';
import { expectError, rejectionOf } from '../support/errors';
import { ask, failureOf, KEY, textOf, useEndpoint } from './support';

const chat = useEndpoint();
const { endpointOf } = chat;

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
    chat.server.react = inTurn(reaction, reaction, says('at last'));
    const [outcome] = await endpointOf({ maxResponseBytes: 2000 }).complete([ask('a')]);
    expect(textOf(outcome)).toBe('at last');
    expect(chat.server.calls).toHaveLength(3);
  });

  it.each(PASSING)('and then reported in its place: %s', async (_name, reaction, message) => {
    chat.server.react = (call, response) =>
      (call.body.messages[0]!.content === 'bad' ? reaction : says('good'))(call, response);
    const endpoint = endpointOf({ maxRetries: 1, maxResponseBytes: 2000 });
    const outcomes = await endpoint.complete([ask('a'), ask('bad'), ask('c')]);
    expect(failureOf(outcomes[1])).toMatch(message);
    expect([textOf(outcomes[0]), textOf(outcomes[2])]).toEqual(['good', 'good']);
    expect(chat.server.calls).toHaveLength(4);
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
    chat.server.react = inTurn(() => undefined, says('late'));
    const [outcome] = await endpointOf({ timeoutMs: 100 }).complete([ask('a')]);
    expect(textOf(outcome)).toBe('late');
  });

  it('bounds a server that sends byte by byte', async () => {
    const timers: NodeJS.Timeout[] = [];
    chat.server.react = (_, response) => {
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
    chat.server.react = refuses(500);
    await endpointOf({ maxRetries: 3, retryDelayMs: 40 }).complete([ask('a')]);
    const gaps = chat.server.calls.slice(1).map(({ atMs }, i) => atMs - chat.server.calls[i]!.atMs);
    // 40, 80, 160 ms times [1, 2); timers may fire a millisecond early, and late as they like.
    [40, 80, 160].forEach((least, i) => expect(gaps[i]).toBeGreaterThanOrEqual(least - 2));
  });

  it.each([
    ['seconds', { 'retry-after': '1' }],
    ['milliseconds', { 'retry-after-ms': '1000' }],
  ])('that the server asks for is kept, by all calls: %s', async (_name, headers) => {
    chat.server.react = inTurn(refuses(429, 'wait', headers), says('ok'));
    const endpoint = endpointOf({ concurrency: 1 });
    const outcomes = await endpoint.complete([ask('a'), ask('b')]);
    expect(outcomes.map(textOf)).toEqual(['ok', 'ok']);
    for (const { atMs } of chat.server.calls.slice(1)) {
      expect(atMs - chat.server.calls[0]!.atMs).toBeGreaterThanOrEqual(998);
    }
  });

  it('that the server asks for may be a date', async () => {
    const date = new Date(Date.now() + 2000);
    chat.server.react = inTurn(refuses(503, 'wait', { 'retry-after': date.toUTCString() }), says('ok'));
    expect(textOf((await endpointOf().complete([ask('a')]))[0])).toBe('ok');
    // A date of HTTP has whole seconds.
    expect(chat.server.calls[1]!.atMs - chat.server.calls[0]!.atMs).toBeGreaterThanOrEqual(900);
  });

  it('that is too long to wait ends the call', async () => {
    chat.server.react = refuses(429, 'tomorrow', { 'retry-after': '86400' });
    const [outcome] = await endpointOf().complete([ask('a')]);
    expect(failureOf(outcome)).toBe('status 429: "tomorrow", and to come back after 86400 s');
    expect(chat.server.calls).toHaveLength(1);
  });
});

describe('what concerns this call alone is reported at once', () => {
  it.each([400, 413, 422])('status %d', async (status) => {
    chat.server.react = (call, response) =>
      (call.body.messages[0]!.content === 'bad' ? refuses(status, 'too long') : says('ok'))(call, response);
    const outcomes = await endpointOf().complete([ask('bad'), ask('b')]);
    expect(outcomes[0]).toEqual({ failed: `status ${status}: "too long"`, status });
    expect(textOf(outcomes[1])).toBe('ok');
    expect(chat.server.calls).toHaveLength(2);
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
    chat.server.react = reaction;
    const requests = Array.from({ length: 20 }, (_, i) => ask(String(i)));
    const error = await rejectionOf(endpointOf({ concurrency: 2 }).complete(requests));
    expectError(error, 'ENDPOINT_FAILED', message);
    // The others were not asked, but for the one that was under way.
    expect(chat.server.calls.length).toBeLessThanOrEqual(2);
  });

  it('and ends calls that are under way', async () => {
    chat.server.react = (call, response) => {
      if (call.body.messages[0]!.content === 'bad') setTimeout(() => void refuses(401)(call, response), 30);
    };
    await rejectionOf(endpointOf().complete([ask('slow'), ask('bad')]));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(chat.server.cut).toBe(1);
  });

  it('says that no key was sent', async () => {
    delete process.env['OPENAI_API_KEY'];
    chat.server.react = refuses(401);
    const error = await rejectionOf(endpointOf({ apiKeyVariable: undefined }).complete([ask('a')]));
    expect(error.message).toContain('No key was sent: set it in the environment variable OPENAI_API_KEY');
    expect(chat.server.calls[0]!.headers.authorization).toBeUndefined();
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
    chat.server.react = reaction;
    const controller = new AbortController();
    const requests = Array.from({ length: 50 }, (_, i) => ask(String(i)));
    const asked = endpointOf({ retryDelayMs: 20_000 }).complete(requests, { signal: controller.signal });
    const rejected = expect(asked).rejects.toBe('enough');
    while (chat.server.calls.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
    const startMs = performance.now();
    controller.abort('enough');
    await rejected;
    expect(performance.now() - startMs).toBeLessThan(2000);
    expect(chat.server.calls).toHaveLength(4);
  });

  it('before the start asks nothing', async () => {
    const signal = AbortSignal.abort(new Error('no'));
    await expect(endpointOf().complete([ask('a')], { signal })).rejects.toThrow('no');
    expect(chat.server.calls).toHaveLength(0);
  });

  it('leaves the endpoint as it was', async () => {
    chat.server.react = silent;
    const endpoint = endpointOf({ concurrency: 1 });
    await expect(endpoint.complete([ask('a')], { signal: AbortSignal.timeout(50) })).rejects.toThrow();
    chat.server.react = says('fine');
    expect(textOf((await endpoint.complete([ask('a')]))[0])).toBe('fine');
  });
});
