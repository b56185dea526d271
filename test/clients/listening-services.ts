// The HTTP surface over fake services on a real socket, for clients that speak nothing else.
import { afterEach } from "vitest";
import { silentLogger } from "../../src/core/log.ts";
import type { HttpOptions } from "../../src/http/app.ts";
import { startHttpServer } from "../../src/http/server.ts";
import { fakeHttp } from "../support/fake-http.ts";
import { type AnswerScript, type FakeServices, fakeServices } from "../support/fake-services.ts";

export interface Listening {
  readonly services: FakeServices;
  /** Without a path, for example `http://127.0.0.1:40001`. */
  readonly url: string;
}

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map(async (close) => close()));
});

/** Listens until the test has ended. */
export async function listen(
  services: FakeServices = fakeServices(),
  options: Partial<HttpOptions["server"]> = {},
): Promise<Listening> {
  const server = await startHttpServer(fakeHttp(services, options), {
    host: "127.0.0.1",
    port: 0,
    log: silentLogger,
    stallTimeoutMs: 60_000,
  });
  closers.push(async () => server.close(0));
  return { services, url: server.url };
}

/** Says this, and then nothing more until nobody listens. */
export function sayingUntilAborted(text: string): AnswerScript {
  return async function* (_request, signal) {
    yield { type: "text", text };
    await new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
    });
  };
}
