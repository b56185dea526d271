// Where this installation keeps what it learnt of model files across restarts. Imports node:path alone.
import path from "node:path";

/**
 * `$GGUF_EXPERTS_STATE_DIR`, else systemd's `$STATE_DIRECTORY`, else below `$XDG_STATE_HOME`, else below `$HOME`. Null where
 * none of them is an absolute path.
 */
export function stateFolderOf(env: Readonly<Record<string, string | undefined>>): string | null {
  // systemd lists several folders with colons between them, in the order in which the unit names them.
  const own = [env["GGUF_EXPERTS_STATE_DIR"], env["STATE_DIRECTORY"]?.split(":")[0]];
  const shared = [
    env["XDG_STATE_HOME"],
    env["HOME"] === undefined ? undefined : path.join(env["HOME"], ".local/state"),
  ];
  const folders = [...own, ...shared.map((folder) => folder && path.join(folder, "gguf-experts"))];
  return folders.find((folder) => folder !== undefined && path.isAbsolute(folder)) ?? null;
}
