// Servers for the chaos tests: their configuration file, a state folder of their own, and an orderly end.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, onTestFinished } from "vitest";
import { type RunningServer, type ServerOptions, startServer } from "../support/server-process.ts";
import { testFolder } from "../support/temporary-folder.ts";

export interface ChaosServerOptions extends Pick<ServerOptions, "launcher"> {
  readonly supervise?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

/** Serves for the rest of the test, and must then drain to exit code 0. */
export async function serve(config: object, options: ChaosServerOptions = {}): Promise<RunningServer> {
  const { supervise = false, env = {}, launcher = [] } = options;
  const folder = testFolder();
  const server = await startServer({
    args: ["--config", writeConfig(folder, config), ...(supervise ? ["--supervise"] : [])],
    cwd: folder,
    env: { GGUF_EXPERTS_STATE_DIR: path.join(folder, "state"), ...env },
    launcher,
  });
  onTestFinished(async () => {
    expect(await server.stop()).toBe(0);
  });
  return server;
}

export function writeConfig(folder: string, config: object): string {
  const file = path.join(folder, "config.json");
  writeFileSync(file, JSON.stringify(config));
  return file;
}
