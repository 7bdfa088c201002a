/** Chat endpoints: see chat-endpoint.ts. */
export { ChatEndpoint, type CompleteOptions } from './chat-endpoint';
export type { ChatEndpointOptions } from './options';
export type * from './types';
