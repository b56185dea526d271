// Whether a model file can be loaded and used at all, found out where it can do no harm. Interface only; engine/llama
// implements it with a forked process. May import engine.ts.
import type { LoadSpec } from "./engine.ts";

export type FileVerdict =
  | { readonly ok: true }
  /** One line that names the file and says what is wrong with it. */
  | { readonly ok: false; readonly reason: string };

export interface FileProver {
  /** What judges: the method's version and the engine's. A verdict holds for this name alone. */
  readonly name: string;
  /**
   * Loads the file in another process, renders a prompt and computes a few tokens or a vector with it. Rejects with an
   * AbandonedError when the signal fires, and with an Error of one line where no verdict was reached for reasons that
   * may not be the file's: the process was killed from outside, or the machine was too slow. Takes the memory of a load
   * with a small context, which is back when it settles.
   */
  prove(path: string, purpose: LoadSpec["purpose"], signal: AbortSignal): Promise<FileVerdict>;
  /** Ends a process that is still kept or at work. */
  dispose(): Promise<void>;
}
