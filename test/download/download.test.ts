// The downloader against servers that misbehave. No test sleeps: waits are recorded and answered at once.
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import {
  downloadFile,
  systemRuntime,
  UnreachableError,
  type DownloadOptions,
  type DownloadProgress,
  type DownloadRequest,
  type DownloadResult,
  type DownloadRuntime,
} from "../../src/experts/download.ts";
import {
  ggufBytes,
  serve,
  serveBeginning,
  sha256,
  startServer,
  status,
  type Answer,
  type FileServer,
} from "./file-server.ts";

const file = ggufBytes(300_000);
const half = 150_000;

let folder: string;
let destination: string;
let servers: FileServer[];
let delaysMs: number[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "download-"));
  destination = join(folder, "model.gguf");
  servers = [];
  delaysMs = [];
});

afterEach(async () => {
  await Promise.all(servers.map((server) => server.close()));
  await rm(folder, { recursive: true, force: true });
});

async function start(...answers: readonly Answer[]): Promise<FileServer> {
  const server = await startServer(...answers);
  servers.push(server);
  return server;
}

function runtime(changes: Partial<DownloadRuntime> = {}): DownloadRuntime {
  return {
    ...systemRuntime,
    random: () => 1,
    sleep: (delayMs) => {
      delaysMs.push(delayMs);
      return Promise.resolve();
    },
    ...changes,
  };
}

function fetchFrom(
  server: FileServer,
  request: Partial<DownloadRequest> = {},
  options: DownloadOptions = {},
  changes: Partial<DownloadRuntime> = {},
): Promise<DownloadResult> {
  return downloadFile(
    { url: `${server.origin}/model.gguf`, destination, sizeBytes: null, sha256: null, token: null, ...request },
    options,
    runtime(changes),
  );
}

/** Calls `act` once, when exactly so many bytes are on disk. */
function at(receivedBytes: number, act: () => void): DownloadOptions {
  let done = false;
  return {
    onProgress: (progress) => {
      if (done || progress.receivedBytes < receivedBytes) return;
      done = true;
      act();
    },
  };
}

/** Leaves a part of the first half behind, as a process does that was stopped. */
async function leaveHalf(server: FileServer, request: Partial<DownloadRequest> = {}): Promise<void> {
  const controller = new AbortController();
  const stop = at(half, () => controller.abort(new Error("stopped")));
  await expect(fetchFrom(server, request, { ...stop, signal: controller.signal })).rejects.toThrow("stopped");
  expect((await stat(`${destination}.part`)).size).toBe(half);
}

async function expectComplete(expected = file): Promise<void> {
  expect(sha256(await readFile(destination))).toBe(sha256(expected));
  expect(await readdir(folder)).toEqual(["model.gguf"]);
}

async function expectNothingThere(): Promise<void> {
  expect((await readdir(folder)).filter((name) => !name.includes(".part") || name.endsWith(".lock"))).toEqual([]);
}

describe("a well-behaved server", () => {
  it("brings the file, says how far it is, and leaves nothing else behind", async () => {
    const server = await start(serve(file));
    const seen: DownloadProgress[] = [];
    const result = await fetchFrom(
      server,
      { sha256: sha256(file), sizeBytes: file.length },
      { onProgress: (progress) => seen.push(progress) },
    );
    expect(result).toEqual({ sizeBytes: file.length, sha256: sha256(file), verifiedBy: "manifest" });
    expect(seen.at(-1)).toMatchObject({ receivedBytes: file.length, totalBytes: file.length });
    await expectComplete();
  });

  it("makes the folder and needs no Content-Length", async () => {
    destination = join(folder, "new", "folder", "model.gguf");
    const server = await start((_request, response) => response.writeHead(200).end(file));
    const result = await fetchFrom(server);
    expect(result).toEqual({ sizeBytes: file.length, sha256: sha256(file), verifiedBy: "nobody" });
  });

  it("is not believed where nobody knows a hash or a size and the file is shorter than its own header says", async () => {
    const short = file.subarray(0, file.length - 1);
    const server = await start((_request, response) => response.writeHead(200).end(short));
    await expect(fetchFrom(server)).rejects.toThrow(
      /arrived damaged and was deleted: .* is truncated: tensor t ends at/,
    );
    await expectNothingThere();
  });

  it("takes the server's digest where the manifest has none", async () => {
    const digest = Buffer.from(sha256(file), "hex").toString("base64");
    const server = await start(serve(file, { "repr-digest": `sha-512=:AAAA:, sha-256=:${digest}:` }));
    expect((await fetchFrom(server)).verifiedBy).toBe("server");
  });
});

describe("resuming", () => {
  it("goes on where the connection dropped, so that each byte is sent once", async () => {
    const server = await start(serveBeginning(file, half), serve(file));
    const reasons: string[] = [];
    await fetchFrom(
      server,
      { sha256: sha256(file) },
      { ...at(half, () => server.dropConnections()), onRetry: (reason) => reasons.push(reason) },
    );
    expect(server.seen.map(({ range }) => range)).toEqual([undefined, `bytes=${half}-`]);
    expect(server.seen[1]?.ifRange).toBe('"v1"');
    expect(server.sentBytes()).toBe(file.length);
    expect(delaysMs).toEqual([1_000]);
    expect(reasons).toHaveLength(1);
    await expectComplete();
  });

  it("takes a body that ends early without an error for a dropped connection", async () => {
    const short: Answer = (_request, response) =>
      response.writeHead(200, { etag: '"v1"', "x-linked-size": String(file.length) }).end(file.subarray(0, half));
    const server = await start(short, serve(file));
    const reasons: string[] = [];
    await fetchFrom(server, {}, { onRetry: (reason) => reasons.push(reason) });
    expect(reasons).toEqual([`the connection ended after ${half} of ${file.length} bytes`]);
    expect(server.seen[1]?.range).toBe(`bytes=${half}-`);
    await expectComplete();
  });

  it("goes on with what an earlier process left, and counts it in the progress", async () => {
    const server = await start(serveBeginning(file, half), serve(file));
    await leaveHalf(server);
    const received: number[] = [];
    await fetchFrom(
      server,
      { sha256: sha256(file) },
      { onProgress: ({ receivedBytes }) => received.push(receivedBytes) },
    );
    expect(server.seen[1]?.range).toBe(`bytes=${half}-`);
    expect(received[0]).toBeGreaterThan(half);
    await expectComplete();
  });

  it("begins anew where the server knows no ranges", async () => {
    const whole: Answer = (_request, response) =>
      response.writeHead(200, { "content-length": file.length, etag: '"v1"' }).end(file);
    const server = await start(serveBeginning(file, half), whole);
    await leaveHalf(server);
    await fetchFrom(server, { sha256: sha256(file) });
    expect(server.seen[1]?.range).toBe(`bytes=${half}-`);
    await expectComplete();
  });

  it("begins anew when the file has changed at its source", async () => {
    const changed = ggufBytes(300_000, 2);
    const server = await start(serveBeginning(file, half), serve(changed, { etag: '"v2"' }));
    await leaveHalf(server);
    await fetchFrom(server);
    expect(server.seen[1]).toMatchObject({ range: `bytes=${half}-`, ifRange: '"v1"' });
    await expectComplete(changed);
  });

  it("begins anew when a server that ignores If-Range sends the rest of another version", async () => {
    const changed = ggufBytes(300_000, 2);
    const rest: Answer = (_request, response) =>
      response
        .writeHead(206, { etag: '"v2"', "content-range": `bytes ${half}-${file.length - 1}/${file.length}` })
        .end(changed.subarray(half));
    const server = await start(serveBeginning(file, half), rest, serve(changed, { etag: '"v2"' }));
    await leaveHalf(server);
    await fetchFrom(server);
    expect(server.seen[2]?.range).toBeUndefined();
    await expectComplete(changed);
  });

  it("begins anew when the file has become shorter than the part", async () => {
    const shorter = ggufBytes(half - 10_000, 2);
    const headers = { etag: '"v1"' };
    const server = await start(serveBeginning(file, half, headers), serve(shorter, headers));
    await leaveHalf(server);
    await fetchFrom(server);
    expect(server.seen.map(({ range }) => range)).toEqual([undefined, `bytes=${half}-`, undefined]);
    await expectComplete(shorter);
  });

  it("begins anew when the server sends another range than it was asked for", async () => {
    const other: Answer = (_request, response) =>
      response.writeHead(206, { etag: '"v1"', "content-range": `bytes 0-${file.length - 1}/${file.length}` }).end(file);
    const server = await start(serveBeginning(file, half), other, serve(file));
    await leaveHalf(server);
    await fetchFrom(server);
    expect(server.seen.map(({ range }) => range)).toEqual([undefined, `bytes=${half}-`, undefined]);
    await expectComplete();
  });

  it("asks for no range where nothing could tell this file from another", async () => {
    const server = await start(serveBeginning(file, half, { etag: 'W/"weak"' }), serve(file, {}));
    await leaveHalf(server);
    await fetchFrom(server);
    expect(server.seen[1]?.range).toBeUndefined();
    await expectComplete();
  });

  it("takes no part of another URL and none that is no GGUF file", async () => {
    const server = await start(serveBeginning(file, half), serve(file));
    await leaveHalf(server);
    await fetchFrom(server, { url: `${server.origin}/other.gguf` });
    expect(server.seen[1]?.range).toBeUndefined();
    await expectComplete();
  });

  it("only renames a part that is whole already", async () => {
    const server = await start(status(500));
    const identity = { url: `${server.origin}/model.gguf`, etag: '"v1"', size_bytes: file.length, sha256: null };
    await writeFile(`${destination}.part`, file);
    await writeFile(`${destination}.part.json`, JSON.stringify(identity));
    await fetchFrom(server, { sha256: sha256(file) });
    expect(server.seen).toHaveLength(0);
    await expectComplete();
  });

  it("keeps the part when an error page comes in place of the rest", async () => {
    const server = await start(serveBeginning(file, half), status(200, { "content-type": "text/html" }, "<p>Log in"));
    await leaveHalf(server);
    await expect(fetchFrom(server)).rejects.toThrow('"Log in"');
    expect((await stat(`${destination}.part`)).size).toBe(half);
  });
});

describe("what is refused", () => {
  it("a wrong byte: the part is deleted, the message has both hashes", async () => {
    const damaged = Buffer.from(file);
    damaged[200_000] = (damaged[200_000] ?? 0) ^ 1;
    const server = await start(serve(damaged));
    await expect(fetchFrom(server, { sha256: sha256(file) })).rejects.toThrow(
      `SHA-256 expected ${sha256(file)}, actual ${sha256(damaged)}`,
    );
    expect(server.seen).toHaveLength(1);
    expect(await readdir(folder)).toEqual([]);
  });

  it("a wrong byte in the part of an earlier attempt", async () => {
    const server = await start(serveBeginning(file, half), serve(file));
    await leaveHalf(server);
    const part = await readFile(`${destination}.part`);
    part[100] = (part[100] ?? 0) ^ 1;
    await writeFile(`${destination}.part`, part);
    await expect(fetchFrom(server, { sha256: sha256(file) })).rejects.toThrow("damaged");
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    [
      "an HTML page",
      "text/html; charset=utf-8",
      "<!doctype html><style>p{}</style>\n<title>Sign in</title>",
      "Sign in",
    ],
    ["a JSON error", "application/json", '{"error":"Repository not found"}', "Repository not found"],
    ["an LFS pointer", "text/plain", "version https://git-lfs.github.com/spec/v1\noid", "git-lfs.github.com"],
    ["nothing at all", "text/plain", "", '""'],
  ])("%s with status 200, whose first line is quoted", async (_what, type, body, quoted) => {
    await writeFile(destination, "the old file");
    const server = await start(status(200, { "content-type": type }, body));
    const error = await fetchFrom(server, { sizeBytes: file.length }).catch((reason: unknown) => reason);
    expect(String(error)).toContain(`is no GGUF file but ${type.split(";")[0]}: `);
    expect(String(error)).toContain(quoted);
    expect(String(error)).not.toContain("\n");
    expect(server.seen).toHaveLength(1);
    expect(await readFile(destination, "utf8")).toBe("the old file");
  });

  it.each([
    [404, 'there is no such file (HTTP 404, "Entry not found")'],
    [401, "HF_TOKEN"],
    [403, "HF_TOKEN"],
    [418, "unexpected answer (HTTP 418"],
  ])("status %i, at once", async (code, message) => {
    const server = await start(status(code, {}, "Entry not found\nmore"));
    await expect(fetchFrom(server)).rejects.toThrow(message);
    expect(server.seen).toHaveLength(1);
    await expectNothingThere();
  });

  it("a size that is not the manifest's", async () => {
    const server = await start(serve(file));
    await expect(fetchFrom(server, { sizeBytes: file.length + 1 })).rejects.toThrow(
      `size expected ${file.length + 1}, the server offers ${file.length}`,
    );
    await expectNothingThere();
  });

  it("and then the connection is not left open", async () => {
    let closed: Promise<void> | undefined;
    const server = await start((request, response) => {
      closed = new Promise((resolve) => response.on("close", () => resolve()));
      serveBeginning(file, half)(request, response);
    });
    await expect(fetchFrom(server, { sizeBytes: 1 })).rejects.toThrow("size expected 1");
    await expect(closed).resolves.toBeUndefined();
  });

  it("a compressed answer", async () => {
    const server = await start((_request, response) =>
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(file)),
    );
    await expect(fetchFrom(server)).rejects.toThrow("the server compresses the file (gzip)");
    await expectNothingThere();
  });

  it("a Content-Length that is more than what comes", async () => {
    const lie: Answer = (_request, response) => {
      response.writeHead(200, { "content-length": file.length + 1000, etag: '"v1"' });
      response.write(file, () => response.destroy());
    };
    const server = await start(lie);
    await expect(fetchFrom(server)).rejects.toThrow("gave up after 6 attempts");
    expect(server.seen).toHaveLength(6);
    await expectNothingThere();
  });

  it("a Content-Length that is less than the file: the hash tells", async () => {
    const server = await start(serve(file.subarray(0, 299_000)));
    await expect(fetchFrom(server, { sha256: sha256(file) })).rejects.toThrow("SHA-256 expected");
    await expectNothingThere();
  });

  it("a range that brings more than was announced", async () => {
    const server = await start(serveBeginning(file, half), (_request, response) =>
      response
        .writeHead(206, { etag: '"v1"', "content-range": `bytes ${half}-${file.length - 1}/${file.length}` })
        .end(Buffer.concat([file.subarray(half), Buffer.alloc(1000)])),
    );
    await leaveHalf(server);
    await expect(fetchFrom(server)).rejects.toThrow(`more than the ${file.length} bytes`);
    await expectNothingThere();
  });
});

describe("waiting and trying again", () => {
  it.each([429, 503])("waits as long as a %i asks for", async (code) => {
    const server = await start(status(code, { "retry-after": "7" }), serve(file));
    await fetchFrom(server);
    expect(delaysMs).toEqual([7_000]);
    await expectComplete();
  });

  it("reads Retry-After as a date, too", async () => {
    const now = Date.parse("2030-01-01T00:00:00Z");
    const server = await start(status(503, { "retry-after": "Tue, 01 Jan 2030 00:00:30 GMT" }), serve(file));
    await fetchFrom(server, {}, {}, { clock: { ...systemClock, epochMs: () => now } });
    expect(delaysMs).toEqual([30_000]);
  });

  it("does not wait for hours", async () => {
    const server = await start(status(429, { "retry-after": "7200" }, "Too many requests"));
    await expect(fetchFrom(server)).rejects.toThrow('HTTP 429, "Too many requests"; the server asks to wait 7200 s');
    expect(delaysMs).toEqual([]);
  });

  it("backs off exponentially with jitter and gives up in the end", async () => {
    const server = await start(status(502));
    await expect(fetchFrom(server)).rejects.toThrow("gave up after 6 attempts: HTTP 502");
    expect(delaysMs).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
    delaysMs = [];
    await expect(fetchFrom(server, {}, {}, { random: () => 0 })).rejects.toThrow("gave up");
    expect(delaysMs).toEqual([500, 1_000, 2_000, 4_000, 8_000]);
  });

  it("does not give up on a line that drops often but brings something each time", async () => {
    const large = ggufBytes(9 * 2 ** 20);
    const step: Answer = (request, response) => {
      const from = Number(/\d+/.exec(request.headers.range ?? "0")?.[0]);
      const end = Math.min(large.length, from + 2 ** 20);
      const headers = {
        etag: '"v1"',
        "content-length": large.length - from,
        "content-range": `bytes ${from}-${large.length - 1}/${large.length}`,
      };
      response.writeHead(from === 0 ? 200 : 206, headers);
      response.write(large.subarray(from, end));
      if (end === large.length) response.end();
    };
    const server = await start(step);
    let next = 2 ** 20;
    await fetchFrom(
      server,
      { sha256: sha256(large) },
      {
        onProgress: ({ receivedBytes }) => {
          if (receivedBytes < next || receivedBytes === large.length) return;
          next = receivedBytes + 2 ** 20;
          server.dropConnections();
        },
      },
    );
    expect(server.seen).toHaveLength(9);
    await expectComplete(large);
  });

  it("says why nobody answers", async () => {
    const server = await start(serve(file));
    await server.close();
    const error: unknown = await fetchFrom(server).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(UnreachableError);
    expect(error).toMatchObject({
      message: expect.stringMatching(/gave up after 6 attempts: .*ECONNREFUSED/),
      host: new URL(server.origin).host,
    });
  });

  it("names the host that nobody answers at, which a redirect may have led to", async () => {
    const gone = await start(serve(file));
    await gone.close();
    const server = await start(status(302, { location: `${gone.origin}/storage` }));
    await expect(fetchFrom(server)).rejects.toMatchObject({ host: new URL(gone.origin).host });
  });

  it("does not call a host unreachable that answered once", async () => {
    const gone = await start(serve(file));
    await gone.close();
    const server = await start(status(503), status(302, { location: `${gone.origin}/storage` }));
    const error: unknown = await fetchFrom(server).catch((reason: unknown) => reason);
    expect(String(error)).toMatch(/gave up after 6 attempts: .*ECONNREFUSED/);
    expect(error).not.toBeInstanceOf(UnreachableError);
  });

  it("drops a connection that brings nothing, and makes a new one", async () => {
    const pending = new Set<() => void>();
    const clock = {
      ...systemClock,
      setTimer: (_delayMs: number, callback: () => void) => {
        pending.add(callback);
        return () => pending.delete(callback);
      },
    };
    const server = await start(serveBeginning(file, half), serve(file));
    const reasons: string[] = [];
    const stall = at(half, () => setImmediate(() => [...pending].forEach((fire) => fire())));
    await fetchFrom(server, {}, { ...stall, onRetry: (reason) => reasons.push(reason) }, { clock });
    expect(reasons).toEqual(["nothing arrived for 60 s"]);
    expect(pending.size).toBe(0);
    await expectComplete();
  });
});

describe("redirects", () => {
  it("follows them to another host without the token, and reads the digest off them", async () => {
    const storage = await start(serve(file));
    const page = await start(
      status(302, {
        location: `${storage.origin}/blob?signature=x`,
        "x-linked-etag": `"${sha256(file)}"`,
        "x-linked-size": String(file.length),
      }),
    );
    const result = await fetchFrom(page, { token: "secret" });
    expect(page.seen[0]?.authorization).toBe("Bearer secret");
    expect(storage.seen[0]).toMatchObject({ url: "/blob?signature=x", authorization: undefined });
    expect(result.verifiedBy).toBe("server");
    await expectComplete();
  });

  it("keeps the token for a redirect on the same host", async () => {
    const server = await start(status(307, { location: "/moved.gguf" }), serve(file));
    await fetchFrom(server, { token: "secret" });
    expect(server.seen.map(({ url, authorization }) => [url, authorization])).toEqual([
      ["/model.gguf", "Bearer secret"],
      ["/moved.gguf", "Bearer secret"],
    ]);
  });

  it("resumes through them", async () => {
    const storage = await start(serveBeginning(file, half), serve(file));
    const page = await start(status(302, { location: `${storage.origin}/blob` }));
    await leaveHalf(page);
    await fetchFrom(page, { sha256: sha256(file) });
    expect(storage.seen[1]?.range).toBe(`bytes=${half}-`);
    await expectComplete();
  });

  it("does not begin a download whose announced digest is not the manifest's", async () => {
    const storage = await start(serve(file));
    const page = await start(status(302, { location: storage.origin, "x-linked-etag": "0".repeat(64) }));
    await expect(fetchFrom(page, { sha256: sha256(file) })).rejects.toThrow("It was probably replaced at its source");
    await expectNothingThere();
  });

  it("refuses the file when it is not what the page's digest says", async () => {
    const storage = await start(serve(file));
    const page = await start(status(302, { location: storage.origin, "x-linked-etag": `"${"0".repeat(64)}"` }));
    await expect(fetchFrom(page)).rejects.toThrow(`expected ${"0".repeat(64)}, actual ${sha256(file)}`);
    expect(await readdir(folder)).toEqual([]);
  });

  it("refuses loops and other protocols", async () => {
    const loop = await start(status(302, { location: "/again" }));
    await expect(fetchFrom(loop)).rejects.toThrow("more than 10 redirects");
    const local = await start(status(302, { location: "file:///etc/passwd" }));
    await expect(fetchFrom(local)).rejects.toThrow('refused the redirect to "file:///etc/passwd"');
  });
});

describe("the disk", () => {
  it("is not touched when the file does not fit", async () => {
    const server = await start(serve(file));
    const tight = { freeBytes: () => Promise.resolve(256 * 2 ** 20 + file.length - 1) };
    await expect(fetchFrom(server, {}, {}, tight)).rejects.toThrow(
      `Not enough space in ${folder}: 256.3 MiB free, 293.0 KiB to come and 256.0 MiB to be left free`,
    );
    expect(await readdir(folder)).toEqual([]);
    await fetchFrom(server, {}, {}, { freeBytes: () => Promise.resolve(256 * 2 ** 20 + file.length) });
    await expectComplete();
  });

  it("counts only what is still to come", async () => {
    const server = await start(serveBeginning(file, half), serve(file));
    await leaveHalf(server);
    const result = await fetchFrom(server, {}, {}, { freeBytes: () => Promise.resolve(256 * 2 ** 20 + half) });
    expect(result.sizeBytes).toBe(file.length);
    await expectComplete();
  });

  it("is watched while the bytes come: others write, too", async () => {
    const large = Buffer.alloc(70 * 2 ** 20);
    large.write("GGUF");
    const server = await start(serve(large));
    let asked = 0;
    const shrinking = { freeBytes: () => Promise.resolve((asked += 1) === 1 ? Infinity : 1000) };
    await expect(fetchFrom(server, {}, {}, shrinking)).rejects.toThrow("Not enough space");
    expect((await stat(`${destination}.part`)).size).toBeLessThan(large.length);
  });

  it("cannot be written: one line says so", async () => {
    await writeFile(join(folder, "taken"), "");
    destination = join(folder, "taken", "model.gguf");
    const server = await start(serve(file));
    await expect(fetchFrom(server)).rejects.toThrow(`${destination} cannot be written`);
  });
});

describe("two at once", () => {
  it("the second download of a file is told who has it; the first is not disturbed", async () => {
    const server = await start(serveBeginning(file, half), serve(file));
    let second: Promise<DownloadResult> | undefined;
    const first = fetchFrom(
      server,
      { sha256: sha256(file) },
      at(half, () => {
        second = fetchFrom(server, { sha256: sha256(file) });
        second.then(
          () => undefined,
          () => server.dropConnections(),
        );
      }),
    );
    await first;
    await expect(second).rejects.toThrow(`${destination} is already being downloaded by process ${process.pid}`);
    expect(server.seen).toHaveLength(2);
    await expectComplete();
  });

  it.each([
    ["of a process that is gone", { pid: 2 ** 30, host: hostname(), token: "x" }],
    ["of this process number's former owner", { pid: process.pid, host: hostname(), token: "x" }],
  ])("takes over the lock %s", async (_whose, holder) => {
    await writeFile(`${destination}.part.lock`, JSON.stringify(holder));
    const server = await start(serve(file));
    await fetchFrom(server);
    expect(server.seen).toHaveLength(1);
    await expectComplete();
  });

  it("respects the lock of another host", async () => {
    await writeFile(`${destination}.part.lock`, JSON.stringify({ pid: 7, host: "elsewhere", token: "x" }));
    const server = await start(serve(file));
    await expect(fetchFrom(server)).rejects.toThrow("already being downloaded by process 7 on elsewhere");
    expect(server.seen).toHaveLength(0);
    expect(existsSync(`${destination}.part.lock`)).toBe(true);
  });
});

describe("aborting", () => {
  it("rejects with the signal's reason, keeps the part, frees the lock", async () => {
    const server = await start(serveBeginning(file, half));
    await leaveHalf(server);
    expect((await readdir(folder)).sort()).toEqual(["model.gguf.part", "model.gguf.part.json"]);
  });

  it("ends a wait between attempts", async () => {
    const server = await start(status(503));
    const controller = new AbortController();
    const options: DownloadOptions = {
      signal: controller.signal,
      onRetry: () => controller.abort(new Error("stopped while waiting")),
    };
    await expect(
      fetchFrom(server, {}, options, { sleep: (ms, signal) => systemRuntime.sleep(ms, signal) }),
    ).rejects.toThrow("stopped while waiting");
    expect(server.seen).toHaveLength(1);
  });

  it("does not even begin when it has happened already", async () => {
    const server = await start(serve(file));
    await expect(fetchFrom(server, {}, { signal: AbortSignal.abort(new Error("too late")) })).rejects.toThrow(
      "too late",
    );
    expect(server.seen).toHaveLength(0);
    expect(await readdir(folder)).toEqual([]);
  });
});
