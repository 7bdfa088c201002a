/** withSignal: aborts, foreign errors, and listeners that never stay behind. */
import { LspError } from '../../lib/errors';
import type { NativeHandle } from '../../lib/native/addon';
import { fromNativeError, withSignal } from '../../lib/native/call';

class FakeHandle implements NativeHandle {
  aborted = 0;
  onAbort: () => void = () => undefined;
  abort(): void {
    this.aborted += 1;
    this.onAbort();
  }
  finish(): void {}
}

const nativeError = (code: string) => Object.assign(new Error('native says'), { code });

/** An operation that ends as native ones do when they are aborted. */
function abortable(handle: FakeHandle): Promise<never> {
  return new Promise((_, reject) => (handle.onAbort = () => reject(nativeError('ABORTED'))));
}

function listeners(signal: AbortSignal) {
  const added = jest.spyOn(signal, 'addEventListener');
  const removed = jest.spyOn(signal, 'removeEventListener');
  return () => added.mock.calls.length - removed.mock.calls.length;
}

test('the result comes through and no listener stays', async () => {
  const { signal } = new AbortController();
  const left = listeners(signal);
  expect(
    await withSignal(
      signal,
      () => Promise.resolve(7),
      () => new FakeHandle(),
    ),
  ).toBe(7);
  expect(left()).toBe(0);
});

test('aborted before: the operation does not start', async () => {
  const reason = new Error('why');
  const operation = jest.fn(() => Promise.resolve(1));
  await expect(withSignal(AbortSignal.abort(reason), operation, () => new FakeHandle())).rejects.toBe(reason);
  expect(operation).not.toHaveBeenCalled();
});

test('aborted during: the reason comes, whatever it is', async () => {
  for (const reason of [new Error('why'), 'text', 0]) {
    const controller = new AbortController();
    const left = listeners(controller.signal);
    const handle = new FakeHandle();
    const running = withSignal(
      controller.signal,
      () => abortable(handle),
      () => handle,
    );
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(handle.aborted).toBe(1);
    expect(left()).toBe(0);
  }
});

test('an abort after the end reaches nobody', async () => {
  const controller = new AbortController();
  const handle = new FakeHandle();
  await withSignal(
    controller.signal,
    () => Promise.resolve(1),
    () => handle,
  );
  controller.abort();
  expect(handle.aborted).toBe(0);
});

test('a handle aborted by its owner is an AbortError', async () => {
  const failing = withSignal(
    undefined,
    () => Promise.reject(nativeError('ABORTED')),
    () => new FakeHandle(),
  );
  await expect(failing).rejects.toMatchObject({ name: 'AbortError' });
});

test('native errors become LspErrors with their code and the stack of the caller', async () => {
  async function theCaller() {
    await withSignal(
      undefined,
      () => Promise.reject(nativeError('OUT_OF_MEMORY')),
      () => new FakeHandle(),
    );
  }
  const error = await theCaller().catch((thrown: unknown) => thrown as LspError);
  expect(error).toBeInstanceOf(LspError);
  expect(error).toMatchObject({ code: 'OUT_OF_MEMORY', message: 'native says' });
  expect((error as LspError).stack).toContain('theCaller');
});

test('an operation that throws at once is no different', async () => {
  const failing = withSignal(
    undefined,
    () => {
      throw nativeError('INVALID_ARGUMENT');
    },
    () => new FakeHandle(),
  );
  await expect(failing).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('what has no code of ours is INTERNAL; an LspError stays itself', () => {
  expect(fromNativeError(nativeError('E_WEIRD'))).toMatchObject({ code: 'INTERNAL' });
  expect(fromNativeError('text')).toMatchObject({ code: 'INTERNAL', message: 'text' });
  const own = new LspError('DISPOSED', 'x');
  expect(fromNativeError(own)).toBe(own);
});
