// Folders for tests below the system's temporary folder, removed when what asked for them has ended.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, onTestFinished } from "vitest";

const make = (): string => mkdtempSync(join(tmpdir(), "gguf-experts-test-"));
/** What is still being written in the background may come between: then it is tried again. */
const remove = (folder: string): void => rmSync(folder, { recursive: true, maxRetries: 10, retryDelay: 20 });

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
  afterAll(() => {
    if (folder !== undefined) remove(folder);
  });
  return () => {
    if (folder === undefined) throw new Error("the folder is made when the tests begin");
    return folder;
  };
}
