// What is known of files before they are loaded: states, reasons, and that a file is read again only when it changed.
import { mkdirSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { deferred, type Deferred } from "../../src/core/deferred.ts";
import { AbandonedError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/log.ts";
import type { ModelFileInfo } from "../../src/engine/engine.ts";
import { FileMemory } from "../../src/engine/file-memory.ts";
import type { FileVerdict } from "../../src/engine/file-prover.ts";
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

/** A prover under the test's hand: each proof waits in `proofs` for its verdict. */
async function withProver() {
  interface Proof extends Deferred<FileVerdict> {
    readonly purpose: string;
    readonly signal: AbortSignal;
  }
  const proofs: Proof[] = [];
  const prover = {
    name: "judge 1",
    prove: async (_: string, purpose: string, signal: AbortSignal) => {
      const verdict = deferred<FileVerdict>();
      proofs.push({ ...verdict, purpose, signal });
      return verdict.promise;
    },
  };
  const inspect = async (file: string) => ({ path: file }) as ModelFileInfo;
  const files = new ModelFiles({ inspect }, null, { prover, memory: await FileMemory.open(null, silentLogger) });
  const file = path.join(testFolder(), "model.gguf");
  writeFileSync(file, "12345");
  const identity = () => ({ path: file, sizeBytes: statSync(file).size, modifiedMs: statSync(file).mtimeMs });
  /** The nth proof that was asked for, once it is. */
  const proof = async (index: number): Promise<Proof> => {
    while (proofs[index] === undefined) await new Promise((resolve) => setImmediate(resolve));
    return proofs[index];
  };
  return { files, file, identity, proofs, proof };
}

const never = new AbortController().signal;

describe("a proof", () => {
  it("is shared by all who wait and asked for once", async () => {
    const { files, file, identity, proofs, proof } = await withProver();
    const waiting = [files.prove(file, "text", never), files.prove(file, "text", never)];
    expect(files.isProven(identity(), "text")).toBe(false);
    (await proof(0)).resolve({ ok: true });
    await Promise.all(waiting);
    await files.prove(file, "text", never);
    expect(files.isProven(identity(), "text")).toBe(true);
    expect(proofs).toHaveLength(1);
    const asEmbedder = files.prove(file, "embedding", never);
    expect((await proof(1)).purpose).toBe("embedding");
    proofs[1]?.resolve({ ok: false, reason: "no embedder" });
    await expect(asEmbedder).rejects.toThrow("no embedder");
    expect(await files.look(file)).toMatchObject({ state: "present", identity: identity() });
    expect(await files.look(file, "embedding")).toEqual({ state: "invalid", reason: "no embedder" });
  });

  it("that failed makes the file invalid until it changes or is forgotten", async () => {
    const { files, file, proofs, proof } = await withProver();
    const failed = files.prove(file, "text", never);
    (await proof(0)).resolve({ ok: false, reason: `${file} crashes` });
    await expect(failed).rejects.toThrow(`${file} crashes`);
    await expect(files.prove(file, "text", never)).rejects.toThrow(`${file} crashes`);
    expect(await files.look(file)).toEqual({ state: "invalid", reason: `${file} crashes` });
    expect(proofs).toHaveLength(1);
    await files.forgetProof(file);
    expect(await files.look(file)).toMatchObject({ state: "present" });
    const again = files.prove(file, "text", never);
    (await proof(1)).resolve({ ok: false, reason: `${file} crashes` });
    await expect(again).rejects.toThrow(`${file} crashes`);
    writeFileSync(file, "repaired");
    expect(await files.look(file)).toMatchObject({ state: "present" });
  });

  it("without a verdict is no verdict: the next one asks again", async () => {
    const { files, file, identity, proof } = await withProver();
    const first = files.prove(file, "text", never);
    (await proof(0)).reject(new Error("killed"));
    await expect(first).rejects.toThrow("killed");
    expect(await files.look(file)).toMatchObject({ state: "present" });
    const second = files.prove(file, "text", never);
    (await proof(1)).resolve({ ok: true });
    await second;
    expect(files.isProven(identity(), "text")).toBe(true);
  });

  it("goes on while one still waits, and is abandoned when the last leaves, who sees its end", async () => {
    const { files, file, proof } = await withProver();
    const [first, last] = [new AbortController(), new AbortController()];
    const stayed = files.prove(file, "text", last.signal);
    const running = await proof(0);
    const left = files.prove(file, "text", first.signal);
    first.abort();
    await expect(left).rejects.toBeInstanceOf(AbandonedError);
    expect(running.signal.aborted).toBe(false);
    let ended = false;
    const leaves = stayed.catch((error: unknown) => {
      ended = true;
      return error;
    });
    last.abort();
    const successor = files.prove(file, "text", never);
    await new Promise((resolve) => setImmediate(resolve));
    expect(running.signal.aborted).toBe(true);
    expect(ended).toBe(false);
    running.reject(new AbandonedError());
    expect(await leaves).toBeInstanceOf(AbandonedError);
    (await proof(1)).resolve({ ok: true });
    await successor;
    await expect(files.prove(file, "text", last.signal)).rejects.toBeInstanceOf(AbandonedError);
  });

  it("of a file that changed meanwhile counts for nothing", async () => {
    const { files, file, identity, proof } = await withProver();
    const proven = files.prove(file, "text", never);
    const running = await proof(0);
    writeFileSync(file, "other bytes");
    running.resolve({ ok: true });
    await expect(proven).rejects.toThrow(`${file} changed while it was examined`);
    expect(files.isProven(identity(), "text")).toBe(false);
    rmSync(file);
    await expect(files.prove(file, "text", never)).rejects.toThrow(`${file} does not exist`);
  });
});

describe("stillThere", () => {
  it("tells a file that shrank, changed or went from one that stayed", async () => {
    const { files, file, identity } = await withProver();
    const before = identity();
    expect(await files.stillThere(before)).toBeNull();
    truncateSync(file, 2);
    expect(await files.stillThere(before)).toBe(`${file} was cut from 5 to 2 bytes while it was in use`);
    writeFileSync(file, "54321");
    utimesSync(file, 1, 1);
    expect(await files.stillThere(before)).toBe(`${file} changed while it was in use`);
    rmSync(file);
    expect(await files.stillThere(before)).toBe(`${file} does not exist`);
  });
});
