/**
 * `work` on every item, so many at a time, results in order. The first failure aborts the others by the signal that
 * they get, and is thrown once all of them have ended.
 */
export async function inLanes<T, R>(
  items: readonly T[],
  lanes: number,
  signal: AbortSignal | undefined,
  work: (item: T, index: number, signal: AbortSignal) => Promise<R>,
): Promise<R[]> {
  const stop = new AbortController();
  const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  either.throwIfAborted();
  const results = new Array<R>(items.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    try {
      for (let i = next++; i < items.length; i = next++) {
        either.throwIfAborted();
        results[i] = await work(items[i]!, i, either);
      }
    } catch (error) {
      stop.abort(error);
      throw error;
    }
  };
  const running = Array.from({ length: Math.min(lanes, items.length) }, lane);
  try {
    await Promise.all(running);
  } catch (error) {
    await Promise.allSettled(running);
    throw error;
  }
  return results;
}
