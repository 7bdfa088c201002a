/** The endpoint where all goes well, its options and its key; see chat-failures.test.ts. */
import { inspect } from 'node:util';
import type { ChatEndpointOptions } from '../../lib/endpoint';
import { completion, inTurn, refuses, says, sendJson } from '../support/chat-server';
import { expectError, errorOf, rejectionOf } from '../support/errors';
import { ask, failureOf, KEY, textOf, useEndpoint } from './support';

const chat = useEndpoint();
const { endpointOf } = chat;

describe('a call', () => {
  it('is sent with its fields, and its answer is read', async () => {
    chat.server.react = says('yes', { yes: 0.75, no: 0.25 });
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
    const [call] = chat.server.calls;
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
    expect(chat.server.calls[0]!.body).toEqual({
      model: 'judge-1',
      messages: [{ role: 'user', content: 'a' }],
      temperature: 1,
      seed: 9,
      reasoning_effort: 'low',
      max_completion_tokens: 100,
    });
  });

  it('keeps the order, asks equal requests once, and reports progress', async () => {
    chat.server.react = async ({ body }, response) => {
      const { content } = body.messages[0]!;
      await new Promise((resolve) => setTimeout(resolve, content === 'a' ? 60 : 1));
      sendJson(response, completion(content.toUpperCase()));
    };
    const progress: string[] = [];
    const outcomes = await endpointOf().complete([ask('a'), ask('b'), ask('a'), ask('c')], {
      onProgress: ({ done, total }) => progress.push(`${done}/${total}`),
    });
    expect(outcomes.map(textOf)).toEqual(['A', 'B', 'A', 'C']);
    expect(chat.server.calls).toHaveLength(3);
    expect(progress).toEqual(['1/3', '2/3', '3/3']);
  });

  it('has at most `concurrency` others beside it, over all uses of the endpoint', async () => {
    chat.server.react = async (_, response) => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      sendJson(response, completion('x'));
    };
    const endpoint = endpointOf({ concurrency: 3 });
    const many = (name: string) => endpoint.complete(Array.from({ length: 8 }, (_, i) => ask(`${name}${i}`)));
    await Promise.all([many('a'), many('b')]);
    expect(chat.server.calls).toHaveLength(16);
    expect(chat.server.mostOpen).toBe(3);
  });

  it('without log-probabilities, or with some that cannot be read, is an answer all the same', async () => {
    const reply = completion('yes') as { choices: { logprobs: unknown }[] };
    reply.choices[0]!.logprobs = { content: [{ token: 'yes', logprob: 'high' }] };
    chat.server.react = inTurn(says('yes'), (_, response) => sendJson(response, reply));
    for (const outcome of await endpointOf().complete([ask('a'), ask('b')])) {
      expect(outcome).toMatchObject({ answer: { text: 'yes', tokens: null } });
    }
  });

  it('may have an empty answer', async () => {
    const reply = completion('') as { choices: { message: { content: unknown } }[] };
    reply.choices[0]!.message.content = null;
    chat.server.react = inTurn(says(''), (_, response) => sendJson(response, reply));
    const outcomes = await endpointOf().complete([ask('a'), ask('b')]);
    expect(outcomes.map(textOf)).toEqual(['', '']);
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
    expect(chat.server.calls).toHaveLength(0);
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
    chat.server.react = (call, response) =>
      refuses(400, `bad: ${call.headers.authorization ?? ''}`)(call, response);
    expect(failureOf((await endpointOf().complete([ask('a')]))[0])).toBe('status 400: "bad: Bearer [key]"');
    chat.server.react = (call, response) =>
      refuses(401, `bad: ${call.headers.authorization ?? ''}`)(call, response);
    const error = await rejectionOf(endpointOf().complete([ask('a')]));
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(KEY);
    chat.server.react = says(`your key is ${KEY}`);
    expect(textOf((await endpointOf().complete([ask('a')]))[0])).toBe('your key is [key]');
  });

  it('that cannot be one is not shown', () => {
    process.env['LSP_TEST_KEY'] = 'sk-two\nlines-secret';
    const error = errorOf(() => endpointOf());
    expectError(error, 'INVALID_ARGUMENT', /LSP_TEST_KEY/);
    expect(error.message).not.toContain('secret');
  });
});
