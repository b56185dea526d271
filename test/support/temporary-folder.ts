// Folders for tests below the system's temporary folder, removed when what asked for them has ended.
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, onTestFinished } from "vitest";

const make = (): string => mkdtempSync(join(tmpdir(), "gguf-experts-test-"));
/**
 * What is still being written in the background may come between: then it is tried again, from reading the folder on. Not
 * synchronously, or what is being written could not end meanwhile.
 */
async function remove(folder: string): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      await rm(folder, { recursive: true });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw error;
    }
  }
  await rm(folder, { recursive: true });
}

/** A folder for one test, asked for in the test or in `beforeEach`; removed after its `afterEach`. */
export function testFolder(): string {
  const folder = make();
  onTestFinished(() => remove(folder));
  return folder;
}

/**
 * A folder for all tests of a file, asked for at its top level before its hooks: its path, once they run; removed after
 * its `afterAll`. (A folder made while tests are only collected would stay where a filter then runs none of them.)
 */
export function fileFolder(): () => string {
  let folder: string | undefined;
  beforeAll(() => {
    folder = make();
  });
  afterAll(async () => {
    if (folder !== undefined) await remove(folder);
  });
  return () => {
    if (folder === undefined) throw new Error("the folder is made when the tests begin");
    return folder;
  };
}
