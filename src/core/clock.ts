// Time as a dependency: everything that decides by time takes a Clock, so that tests drive it by events and never sleep.
// Imports nothing.

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. */
  nowMs(): number;
  /** Wall-clock milliseconds since the Unix epoch. */
  epochMs(): number;
  /** Calls back once after `delayMs`; the returned function cancels it. Pending timers never keep the process alive. */
  setTimer(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  epochMs: () => Date.now(),
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
