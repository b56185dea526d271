// What is known of each model file without loading it, remembered until its size or time changes.
// May import engine.ts and core/.
import { readdir, stat } from "node:fs/promises";
import { messageOf } from "../core/errors.ts";
import { isModelFileName } from "../core/gguf-names.ts";
import { plural } from "../core/words.ts";
import type { Engine, ModelFileInfo } from "./engine.ts";

export type ModelFileState =
  | { readonly state: "present"; readonly info: ModelFileInfo }
  | { readonly state: "missing"; readonly reason: string }
  | { readonly state: "invalid"; readonly reason: string };

export class ModelFiles {
  readonly #engine: Pick<Engine, "inspect">;
  readonly #missingAdvice: ((path: string) => string) | null;
  readonly #known = new Map<string, { readonly identity: string; readonly state: Promise<ModelFileState> }>();

  /** `missingAdvice`: what an operator should do about a missing file; ends the reason of that state. */
  constructor(engine: Pick<Engine, "inspect">, missingAdvice: ((path: string) => string) | null = null) {
    this.#engine = engine;
    this.#missingAdvice = missingAdvice;
  }

  /** Never rejects: what is wrong with a file is its state. */
  async look(path: string): Promise<ModelFileState> {
    let identity: string;
    try {
      const file = await stat(path);
      if (file.isDirectory()) return await lookInFolder(path, this.#adviceFor(path));
      if (!file.isFile()) return { state: "invalid", reason: `${path} is not a file` };
      identity = `${file.size}:${file.mtimeMs}`;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "ENOENT" || code === "ENOTDIR") {
        return { state: "missing", reason: `${path} does not exist${this.#adviceFor(path)}` };
      }
      return { state: "invalid", reason: messageOf(error) };
    }
    const known = this.#known.get(path);
    if (known?.identity === identity) return known.state;
    const state = this.#engine.inspect(path).then(
      (info): ModelFileState => ({ state: "present", info }),
      (error: unknown): ModelFileState => ({ state: "invalid", reason: messageOf(error) }),
    );
    this.#known.set(path, { identity, state });
    return state;
  }

  #adviceFor(path: string): string {
    return this.#missingAdvice === null ? "" : `. ${this.#missingAdvice(path)}`;
  }
}

/**
 * The configuration took a folder with one model for that model. What is left holds none, too many to choose from, or
 * one that came after the start.
 */
async function lookInFolder(path: string, missingAdvice: string): Promise<ModelFileState> {
  const models = (await readdir(path)).filter(isModelFileName).sort();
  if (models.length === 0)
    return { state: "missing", reason: `${path} is a folder that holds no GGUF model${missingAdvice}` };
  if (models.length === 1) {
    return { state: "invalid", reason: `${path} holds ${models[0]} since the server started; restart it` };
  }
  return {
    state: "invalid",
    reason: `${path} is a folder of ${plural(models.length, "GGUF model")} (${models.join(", ")}); name one of them in model_path`,
  };
}
