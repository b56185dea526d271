// What the proving process and the one that forked it say to each other. Types only; may import engine.ts.
import type { LoadSpec } from "../engine.ts";

/** To the child: prove this file. It is asked for one at a time. */
export interface ProofTask {
  readonly path: string;
  readonly purpose: LoadSpec["purpose"];
}

/** What the child is about to do; `prompt`: run the file's own chat template. */
export type ProofStage = "read" | "load" | "prompt" | "compute";

export type ProofMessage =
  /** The engine's library is there: from now on a sudden end is the file's doing. */
  | { readonly type: "ready" }
  | { readonly type: "stage"; readonly stage: ProofStage }
  /** `problem`: one line that names the file; null: there is none. The file's memory is free again. */
  | { readonly type: "verdict"; readonly problem: string | null };
