/** An endpoint and the server behind it, which says, and does wrong, whatever a test wants. */
import {
  ChatEndpoint,
  type ChatEndpointOptions,
  type ChatOutcome,
  type ChatRequest,
} from '../../lib/endpoint';
import { says, startChatServer, type ChatServer } from '../support/chat-server';

export const KEY = 'sk-test-0123456789abcdef';

export interface EndpointFixture {
  /** Of the test that is running. */
  server: ChatServer;
  /** An endpoint at that server: fast retries, and no cache, which has tests of its own. */
  endpointOf: (options?: Partial<ChatEndpointOptions>) => ChatEndpoint;
}

/** Each test of a file has a server of its own, which says hello at first, and a key in the environment. */
export function useEndpoint(): EndpointFixture {
  const fixture = {
    endpointOf: (options = {}) =>
      new ChatEndpoint({
        model: 'judge-1',
        baseUrl: fixture.server.baseUrl,
        apiKeyVariable: 'LSP_TEST_KEY',
        cache: false,
        retryDelayMs: 1,
        ...options,
      }),
  } as EndpointFixture;
  beforeEach(async () => {
    process.env['LSP_TEST_KEY'] = KEY;
    fixture.server = await startChatServer(says('hello'));
  });
  afterEach(async () => {
    await fixture.server.close();
    delete process.env['LSP_TEST_KEY'];
    delete process.env['OPENAI_BASE_URL'];
  });
  return fixture;
}

export const ask = (content: string, more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: 'user', content }],
  ...more,
});

export function textOf(outcome: ChatOutcome | undefined): string {
  if (!outcome || 'failed' in outcome) throw new Error(`no answer: ${JSON.stringify(outcome)}`);
  return outcome.answer.text;
}

export function failureOf(outcome: ChatOutcome | undefined): string {
  if (!outcome || !('failed' in outcome)) throw new Error(`no failure: ${JSON.stringify(outcome)}`);
  return outcome.failed;
}
