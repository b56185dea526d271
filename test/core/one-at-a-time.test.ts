// An action that never runs twice at once, and whose callers see what they asked for.
import { expect, it } from "vitest";
import { deferred } from "../../src/core/deferred.ts";
import { oneAtATime } from "../../src/core/one-at-a-time.ts";

/** An action whose runs end when the test says so. */
function steps() {
  const runs: ReturnType<typeof deferred<number>>[] = [];
  const run = oneAtATime(() => {
    const step = deferred<number>();
    runs.push(step);
    return step.promise;
  });
  return { runs, run };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

it("shares one later run among all who ask while one is under way", async () => {
  const { runs, run } = steps();
  const first = run();
  await turn();
  const others = [run(), run(), run()];
  await turn();
  expect(runs).toHaveLength(1);
  runs[0]?.resolve(1);
  expect(await first).toBe(1);
  await turn();
  expect(runs).toHaveLength(2);
  runs[1]?.resolve(2);
  expect(await Promise.all(others)).toEqual([2, 2, 2]);
  void run();
  await turn();
  expect(runs).toHaveLength(3);
});

it("goes on after a run that failed, and tells its callers alone", async () => {
  const { runs, run } = steps();
  const first = run();
  await turn();
  const second = run();
  runs[0]?.reject(new Error("broken"));
  await expect(first).rejects.toThrow("broken");
  await turn();
  runs[1]?.resolve(2);
  expect(await second).toBe(2);
});
