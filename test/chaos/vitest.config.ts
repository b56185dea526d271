// How the chaos tests run: apart from the suite, one file after the other, because each takes the whole machine.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/chaos/*.test.ts"],
    pool: "forks",
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ["verbose", "./test/support/closing-line-reporter.ts"],
  },
});
