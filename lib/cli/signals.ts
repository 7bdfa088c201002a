/**
 * Ctrl-C, SIGTERM and a closed terminal: the first asks the work to stop cleanly, through an AbortSignal; the second
 * leaves at once.
 */
import { Interrupted } from './usage';

/** 128 + the number of the signal, as shells report it. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

export interface Stopper {
  /** Aborted with an `Interrupted` by the first signal. */
  readonly signal: AbortSignal;
  /** Gives the signals back. */
  release(): void;
}

/** @param onFirst called when the first signal comes */
export function stopOnSignals(onFirst: () => void = () => undefined): Stopper {
  const controller = new AbortController();
  const handlers = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((name) => {
    const handler = () => {
      if (controller.signal.aborted) process.exit(EXIT_CODES[name]);
      onFirst();
      controller.abort(new Interrupted(EXIT_CODES[name]));
    };
    process.on(name, handler);
    return { name, handler };
  });
  return {
    signal: controller.signal,
    release() {
      for (const { name, handler } of handlers) process.off(name, handler);
    },
  };
}
