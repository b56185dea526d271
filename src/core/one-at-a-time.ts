// Serialises an action that reads the newest state when it begins. Imports nothing.

/**
 * Runs `action` alone. Whoever asks while it runs gets the result of one more run, which begins when the first has ended
 * and is shared by all who asked meanwhile: it has seen what they wanted to have seen.
 */
export function oneAtATime<T>(action: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | null = null;
  const ignore = () => {};
  return () => {
    if (next !== null) return next;
    const run = last.then(() => {
      next = null;
      return action();
    });
    next = run;
    last = run.then(ignore, ignore);
    return run;
  };
}
