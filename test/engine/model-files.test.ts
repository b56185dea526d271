// What is known of files before they are loaded: states, reasons, and that a file is read again only when it changed.
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { ModelFileInfo } from "../../src/engine/engine.ts";
import { ModelFiles } from "../../src/engine/model-files.ts";
import { testFolder } from "../support/temporary-folder.ts";

function inspector() {
  const inspected: string[] = [];
  const inspect = async (file: string): Promise<ModelFileInfo> => {
    inspected.push(path.basename(file));
    if (file.includes("bad")) throw new Error(`${file} is not a GGUF file`);
    return { path: file } as ModelFileInfo;
  };
  return { files: new ModelFiles({ inspect }), inspected };
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

  it("names what a folder holds", async () => {
    const { files } = inspector();
    const folder = testFolder();
    const empty = path.join(folder, "empty");
    const many = path.join(folder, "many");
    mkdirSync(empty);
    mkdirSync(many);
    for (const name of ["b.gguf", "a.GGUF", "notes.txt"]) writeFileSync(path.join(many, name), "x");
    expect(await files.look(empty)).toEqual({
      state: "missing",
      reason: `${empty} is a folder that holds no GGUF file`,
    });
    expect(await files.look(many)).toEqual({
      state: "invalid",
      reason: `${many} is a folder of 2 GGUF files (a.GGUF, b.gguf); name one of them in model_path`,
    });
  });
});
