// Whether the server's address is open to others without a key. Pure. May import config.ts and core/.
import { isLoopback } from "../core/addresses.ts";
import type { ServerConfig } from "./config.ts";

/** One line that names the risk; null where there is none. */
export function exposureWarning({ host, apiKeys }: Pick<ServerConfig, "host" | "apiKeys">): string | null {
  if (isLoopback(host) || apiKeys.length > 0) return null;
  return (
    `listening on ${host} without an API key: anyone who reaches this port can use the models and read /stats. ` +
    "Set server_config.api_keys, or listen on 127.0.0.1 behind a proxy."
  );
}
