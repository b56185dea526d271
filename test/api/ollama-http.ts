// The HTTP application with Ollama's dialect over fake services, and how its lines are read.
import { adminDialect } from "../../src/api/admin/dialect.ts";
import { ollamaDialect } from "../../src/api/ollama/dialect.ts";
import { silentLogger } from "../../src/core/log.ts";
import { createHttpApp, type HttpApp, type HttpOptions } from "../../src/http/app.ts";
import { type FakeServices, fakeServices } from "../support/fake-services.ts";

export function ollamaHttp(
  services: FakeServices = fakeServices(),
  server: Partial<HttpOptions["server"]> = {},
  clock: HttpOptions["clock"] = services.clock,
): HttpApp {
  const ollama = ollamaDialect(services);
  return createHttpApp({
    dialects: [ollama, adminDialect(services, ollama.endpoints)],
    server: {
      apiKeys: [],
      corsOrigins: [],
      heartbeatMs: 0,
      stallTimeoutMs: 60_000,
      maxBodyBytes: 20_000_000,
      ...server,
    },
    clock,
    log: silentLogger,
  });
}

export interface Lines {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into lines of every shape
  readonly lines: any[];
}

export async function postForLines(app: HttpApp, path: string, body: unknown): Promise<Lines> {
  const response = await app.request(path, { method: "POST", body: JSON.stringify(body) });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    lines: text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as unknown),
  };
}
