// What is known of files before they are loaded: states, reasons, and that a file is read again only when it changed.
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { ModelFileInfo } from "../../src/engine/engine.ts";
import { ModelFiles } from "../../src/engine/model-files.ts";
import { testFolder } from "../support/temporary-folder.ts";

function inspector(advice: ((path: string) => string) | null = null) {
  const inspected: string[] = [];
  const inspect = async (file: string): Promise<ModelFileInfo> => {
    inspected.push(path.basename(file));
    if (file.includes("bad")) throw new Error(`${file} is not a GGUF file`);
    return { path: file } as ModelFileInfo;
  };
  return { files: new ModelFiles({ inspect }, advice), inspected };
}

describe("ModelFiles", () => {
  it("looks at a file once, until its size or time changes", async () => {
    const { files, inspected } = inspector();
    const file = path.join(testFolder(), "model.gguf");
    writeFileSync(file, "1");
    const [first, second] = await Promise.all([files.look(file), files.look(file)]);
    expect(first).toMatchObject({ state: "present", info: { path: file } });
    expect(second).toBe(first);
    writeFileSync(file, "22");
    await files.look(file);
    utimesSync(file, 1, 1);
    await files.look(file);
    expect(inspected).toEqual(["model.gguf", "model.gguf", "model.gguf"]);
  });

  it("says why a file cannot be used, and never rejects", async () => {
    const { files } = inspector();
    const folder = testFolder();
    writeFileSync(path.join(folder, "bad.gguf"), "x");
    expect(await files.look(path.join(folder, "bad.gguf"))).toMatchObject({
      state: "invalid",
      reason: expect.stringMatching(/is not a GGUF/),
    });
    expect(await files.look(path.join(folder, "none.gguf"))).toMatchObject({ state: "missing" });
    expect(await files.look(path.join(folder, "bad.gguf", "below"))).toMatchObject({ state: "missing" });
    expect(await files.look("/dev/null")).toMatchObject({ state: "invalid", reason: "/dev/null is not a file" });
  });

  it("ends the reason of a missing file with what to do about it", async () => {
    const { files } = inspector((file) => `Bring ${path.basename(file)}`);
    const file = path.join(testFolder(), "none.gguf");
    expect(await files.look(file)).toEqual({
      state: "missing",
      reason: `${file} does not exist. Bring none.gguf`,
    });
    const empty = path.join(testFolder(), "empty");
    mkdirSync(empty);
    expect(await files.look(empty)).toEqual({
      state: "missing",
      reason: `${empty} is a folder that holds no GGUF model. Bring empty`,
    });
  });

  it("names what a folder holds", async () => {
    const { files } = inspector();
    const folder = testFolder();
    const empty = path.join(folder, "empty");
    const many = path.join(folder, "many");
    mkdirSync(empty);
    mkdirSync(many);
    for (const name of ["b.gguf", "a.GGUF", "a.mmproj.gguf", "notes.txt"]) writeFileSync(path.join(many, name), "x");
    expect(await files.look(empty)).toEqual({
      state: "missing",
      reason: `${empty} is a folder that holds no GGUF model`,
    });
    expect(await files.look(many)).toEqual({
      state: "invalid",
      reason: `${many} is a folder of 2 GGUF models (a.GGUF, b.gguf); name one of them in model_path`,
    });
    writeFileSync(path.join(empty, "x.mmproj.gguf"), "x");
    expect(await files.look(empty)).toMatchObject({ state: "missing" });
    writeFileSync(path.join(empty, "x-00001-of-00002.gguf"), "x");
    writeFileSync(path.join(empty, "x-00002-of-00002.gguf"), "x");
    expect(await files.look(empty)).toEqual({
      state: "invalid",
      reason: `${empty} holds x-00001-of-00002.gguf since the server started; restart it`,
    });
  });
});
