import { expect, it } from "vitest";
import { Patience } from "../../src/supervisor/patience.ts";

it("ends after so many bad ticks in a row, and one good tick begins anew", () => {
  const patience = new Patience(3);
  const answers = [false, false, true, false, false, false, false].map((isWell) => patience.tick(isWell));
  expect(answers).toEqual([false, false, false, false, false, true, true]);
});
