// What is known of each model file without loading it, remembered until its size or time changes.
// May import engine.ts and core/.
import { stat } from "node:fs/promises";
import { messageOf } from "../core/errors.ts";
import type { Engine, ModelFileInfo } from "./engine.ts";

export type ModelFileState =
  | { readonly state: "present"; readonly info: ModelFileInfo }
  | { readonly state: "missing"; readonly reason: string }
  | { readonly state: "invalid"; readonly reason: string };

export class ModelFiles {
  readonly #engine: Pick<Engine, "inspect">;
  readonly #known = new Map<string, { readonly identity: string; readonly state: Promise<ModelFileState> }>();

  constructor(engine: Pick<Engine, "inspect">) {
    this.#engine = engine;
  }

  /** Never rejects: what is wrong with a file is its state. */
  async look(path: string): Promise<ModelFileState> {
    let identity: string;
    try {
      const file = await stat(path);
      if (!file.isFile()) return { state: "invalid", reason: `${path} is not a file` };
      identity = `${file.size}:${file.mtimeMs}`;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "ENOENT" || code === "ENOTDIR") return { state: "missing", reason: `${path} does not exist` };
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
}
