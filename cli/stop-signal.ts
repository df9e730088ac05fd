/**
 * Ctrl-C and SIGTERM: the first asks to stop, a second one ends the process at once. Under npm, one Ctrl-C arrives
 * twice, from the terminal and from npm, so a second signal counts only after a moment.
 */

const EXIT_CODE_OF = { SIGINT: 130, SIGTERM: 143 } as const;
const SAME_SIGNAL_MS = 500;
type StopName = keyof typeof EXIT_CODE_OF;

export interface StopSignal {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** The first signal received; null if none. */
  readonly received: StopName | null;
  close(): void;
}

/** Listens until closed. A command that does not listen is simply killed by the system. */
export function listenForStop(): StopSignal {
  const controller = new AbortController();
  let received: StopName | null = null;
  let receivedAt = 0;
  const stop = (name: StopName) => {
    if (received === null) {
      received = name;
      receivedAt = performance.now();
      controller.abort();
    } else if (performance.now() - receivedAt >= SAME_SIGNAL_MS) {
      process.exit(EXIT_CODE_OF[name]);
    }
  };
  const onInterrupt = () => stop('SIGINT');
  const onTerminate = () => stop('SIGTERM');
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  return {
    signal: controller.signal,
    get received() {
      return received;
    },
    close() {
      process.off('SIGINT', onInterrupt);
      process.off('SIGTERM', onTerminate);
    },
  };
}
