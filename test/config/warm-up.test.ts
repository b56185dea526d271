// Which experts the server loads before anybody asks.
import { expect, it } from "vitest";
import { warmUpIds } from "../../src/config/warm-up.ts";
import { expertOf } from "../support/experts.ts";

const experts = [
  expertOf("late", { priority: 5 }),
  expertOf("second", { priority: 2 }),
  expertOf("pinned", { priority: 4, keep: true }),
  expertOf("first", { priority: 1 }),
];
const memory = {
  ramBudgetBytes: null,
  memoryThreshold: 0.8,
  lazy: true,
  maxLoadedExperts: null,
  warmupPoolSize: 0,
  autoUnloadAfterMs: null,
};

it.each<[name: string, settings: Partial<typeof memory>, ids: string[]]>([
  ["the pinned ones always", {}, ["pinned"]],
  ["a pool of one is the pinned one", { warmupPoolSize: 1 }, ["pinned"]],
  [
    "a larger pool takes others by priority, behind the pinned ones",
    { warmupPoolSize: 3 },
    ["pinned", "first", "second"],
  ],
  ["a pool larger than the file is all", { warmupPoolSize: 9 }, ["pinned", "first", "second", "late"]],
  ["all where loading is not lazy", { lazy: false, warmupPoolSize: 1 }, ["pinned", "first", "second", "late"]],
])("%s", (_, settings, ids) => {
  expect(warmUpIds({ experts, memory: { ...memory, ...settings } })).toEqual(ids);
});
