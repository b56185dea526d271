// A scripted HTTP server for the download tests: each test says how each request is answered, and reads what came.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createHash } from "node:crypto";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export interface SeenRequest {
  readonly url: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly authorization: string | undefined;
}

export interface FileServer {
  readonly origin: string;
  readonly seen: SeenRequest[];
  /** Of bodies, as handed to the connections. */
  sentBytes(): number;
  /** Cuts every connection at once. */
  dropConnections(): void;
  close(): Promise<void>;
}

/** Answers the n-th request with the n-th answer, and every later one with the last. */
export async function startServer(...answers: readonly Answer[]): Promise<FileServer> {
  const seen: SeenRequest[] = [];
  let sentBytes = 0;
  const server = createServer((request, response) => {
    const write = response.write.bind(response) as (...parameters: unknown[]) => boolean;
    const end = response.end.bind(response) as (...parameters: unknown[]) => ServerResponse;
    const count = (chunk: unknown) => {
      if (typeof chunk === "string" || Buffer.isBuffer(chunk)) sentBytes += chunk.length;
    };
    response.write = (...parameters: unknown[]) => (count(parameters[0]), write(...parameters));
    response.end = (...parameters: unknown[]) => (count(parameters[0]), end(...parameters));
    const answer = answers[Math.min(seen.length, answers.length - 1)];
    const { range, authorization } = request.headers;
    seen.push({
      url: request.url ?? "",
      range,
      ifRange: request.headers["if-range"] as string | undefined,
      authorization,
    });
    answer?.(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    sentBytes: () => sentBytes,
    dropConnections: () => server.closeAllConnections(),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A GGUF-like file: the magic, then bytes that depend on the seed. */
export function ggufBytes(sizeBytes: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  let state = seed;
  for (let index = 0; index < sizeBytes; index += 1) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    bytes[index] = state >>> 16;
  }
  // The smallest header there is: one tensor of single bytes that reaches to the end.
  const headerBytes = 64;
  if (sizeBytes < headerBytes) {
    bytes.write("GGUF");
    return bytes;
  }
  bytes.fill(0, 0, headerBytes);
  bytes.write("GGUF");
  bytes.writeUInt32LE(3, 4);
  bytes.writeBigUInt64LE(1n, 8);
  bytes.writeBigUInt64LE(1n, 24);
  bytes.write("t", 32);
  bytes.writeUInt32LE(1, 33);
  bytes.writeBigUInt64LE(BigInt(sizeBytes - headerBytes), 37);
  bytes.writeUInt32LE(24, 45);
  return bytes;
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A well-behaved server: ranges, If-Range, ETag. */
export function serve(file: Buffer, headers: Readonly<Record<string, string>> = { etag: '"v1"' }): Answer {
  return (request, response) => {
    const start = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
    const ifRange = request.headers["if-range"];
    if (start === undefined || (ifRange !== undefined && ifRange !== headers["etag"])) {
      response.writeHead(200, { ...headers, "content-length": file.length }).end(file);
      return;
    }
    const from = Number(start);
    if (from >= file.length) {
      response.writeHead(416, { "content-range": `bytes */${file.length}` }).end();
      return;
    }
    const rest = file.subarray(from);
    response
      .writeHead(206, {
        ...headers,
        "content-length": rest.length,
        "content-range": `bytes ${from}-${file.length - 1}/${file.length}`,
      })
      .end(rest);
  };
}

/** Announces the whole file, sends its first bytes, and then nothing more. */
export function serveBeginning(
  file: Buffer,
  sentBytes: number,
  headers: Readonly<Record<string, string>> = { etag: '"v1"' },
): Answer {
  return (_request, response) => {
    response.writeHead(200, { ...headers, "content-length": file.length });
    response.write(file.subarray(0, sentBytes));
  };
}

export function status(code: number, headers: Readonly<Record<string, string>> = {}, body = ""): Answer {
  return (_request, response) => {
    response.writeHead(code, headers).end(body);
  };
}
