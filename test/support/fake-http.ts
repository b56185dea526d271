// The HTTP application over fake services, and the few ways in which tests ask it.
import { allDialects } from "../../src/api/dialects.ts";
import { createHttpApp, type HttpApp, type HttpOptions } from "../../src/http/app.ts";
import { type Logger, silentLogger } from "../../src/core/log.ts";
import { type FakeServices, fakeServices } from "./fake-services.ts";

export function fakeHttp(
  services: FakeServices = fakeServices(),
  server: Partial<HttpOptions["server"]> = {},
  log: Logger = silentLogger,
): HttpApp {
  return createHttpApp({
    dialects: allDialects(services),
    server: {
      apiKeys: [],
      corsOrigins: [],
      heartbeatMs: 0,
      stallTimeoutMs: 60_000,
      maxBodyBytes: 1_000_000,
      ...server,
    },
    clock: services.clock,
    log,
  });
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies of every shape
  readonly body: any;
}

export async function get(app: HttpApp, path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await app.request(path, { headers });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

export async function post(app: HttpApp, path: string, body: unknown): Promise<Answer> {
  const response = await app.request(path, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

export interface Events {
  readonly status: number;
  readonly headers: Headers;
  /** As they came: `data` parsed where it is JSON, else the text; comment lines as they stand. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly events: any[];
}

export async function postForEvents(app: HttpApp, path: string, body: unknown): Promise<Events> {
  const response = await app.request(path, { method: "POST", body: JSON.stringify(body) });
  return { status: response.status, headers: response.headers, events: parseEvents(await response.text()) };
}

// oxlint-disable-next-line typescript/no-explicit-any
export function parseEvents(text: string): any[] {
  return text
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => {
      if (block.startsWith(":")) return block;
      if (!block.startsWith("data: ")) throw new Error(`not an event: ${JSON.stringify(block)}`);
      const data = block.slice("data: ".length);
      return data.startsWith("{") ? (JSON.parse(data) as unknown) : data;
    });
}
