// Fetches one GGUF file over HTTP so that it is either there whole and verified or not there at all: resumes, retries,
// checks, renames. May import part-file.ts and core/.
import { mkdir, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleepFor } from "node:timers/promises";
import { isLoopback } from "../core/addresses.ts";
import { formatBytes } from "../core/bytes.ts";
import { systemClock, type Clock } from "../core/clock.ts";
import { clip, messageOf } from "../core/errors.ts";
import { checkGgufIsWhole } from "../core/gguf-extent.ts";
import { ggufMagic, lockPart, PartFile, type PartIdentity, type PartLock, partPath } from "./part-file.ts";

export interface DownloadRequest {
  readonly url: string;
  /** Absolute path of the finished file; its folder is made where it is missing. */
  readonly destination: string;
  /** Null where it is not known beforehand. */
  readonly sizeBytes: number | null;
  /** Lower-case hexadecimal; null: the server's own digest decides, where it gives one. */
  readonly sha256: string | null;
  /** Sent as a bearer token to the URL's own origin only, never in clear text over a network; null: none. */
  readonly token: string | null;
}

export interface DownloadProgress {
  /** Bytes on disk, those of an earlier attempt included. */
  readonly receivedBytes: number;
  /** Null where the server does not say. */
  readonly totalBytes: number | null;
  /** Over the last seconds. */
  readonly bytesPerSecond: number;
}

export interface DownloadOptions {
  readonly signal?: AbortSignal;
  /** Called for each chunk that was written. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Called before each wait for another attempt. */
  readonly onRetry?: (reason: string, delayMs: number) => void;
}

/** What the downloader takes from the world outside HTTP and files. */
export interface DownloadRuntime {
  readonly clock: Clock;
  /** Rejects with the signal's reason when it is aborted. */
  sleep(delayMs: number, signal: AbortSignal | undefined): Promise<void>;
  /** At least 0, below 1. */
  random(): number;
  /** Bytes that an unprivileged process may still write in a folder's file system. */
  freeBytes(folder: string): Promise<number>;
}

export interface DownloadResult {
  readonly sizeBytes: number;
  readonly sha256: string;
  /** Whose hash the file's was compared with; `nobody` where neither gave one. */
  readonly verifiedBy: "manifest" | "server" | "nobody";
}

/** A download that failed for a reason that the caller should read: one line, with what arrived and what was expected. */
export class DownloadError extends Error {}

/** No attempt reached the host, so other files of that host need not be tried. */
export class UnreachableError extends DownloadError {
  /** As in URL.host. */
  readonly host: string;
  constructor(message: string, host: string) {
    super(message);
    this.host = host;
  }
}

export const systemRuntime: DownloadRuntime = {
  clock: systemClock,
  sleep: (delayMs, signal) => sleepFor(delayMs, undefined, signal === undefined ? {} : { signal }),
  random: Math.random,
  freeBytes: async (folder) => {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  },
};

/** Attempts in a row that brought less than `progressBytes`. */
const maxFailures = 6;
const progressBytes = 2 ** 20;
const firstDelayMs = 1_000;
const maxDelayMs = 60_000;
const maxRetryAfterMs = 10 * 60_000;
/** A connection that brings nothing for so long is dropped and made anew. */
const stallMs = 60_000;
/** Never used up: a full disk hurts everything else on the machine. */
export const reservedDiskBytes = 256 * 2 ** 20;
const diskCheckBytes = 64 * 2 ** 20;
const maxRedirects = 10;

/**
 * Brings the file to `destination`. An unfinished download stays beside it as FILE.part and is resumed by the next call.
 * Throws DownloadError; the signal's reason when it is aborted.
 */
export async function downloadFile(
  request: DownloadRequest,
  options: DownloadOptions = {},
  runtime: DownloadRuntime = systemRuntime,
): Promise<DownloadResult> {
  const { signal } = options;
  signal?.throwIfAborted();
  try {
    await mkdir(dirname(request.destination), { recursive: true });
    const lock = await lockPart(request.destination);
    if ("heldBy" in lock)
      throw new DownloadError(`${request.destination} is already being downloaded by ${lock.heldBy}`);
    try {
      const part = await PartFile.open(request.destination, request.url, signal);
      try {
        await new Transfer(request, options, runtime, part, lock).complete();
        return await finish(request, part);
      } finally {
        if (part.lengthBytes === 0) await part.discard();
        await part.close();
      }
    } finally {
      await lock.release();
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw diskError(error, request.destination) ?? error;
  }
}

async function finish(request: DownloadRequest, part: PartFile): Promise<DownloadResult> {
  const actual = part.sha256();
  const offered = part.identity?.sha256 ?? null;
  const expected = request.sha256 ?? offered;
  if (expected !== null && actual !== expected) {
    await part.discard();
    throw new DownloadError(
      `${request.url}: the file arrived damaged and was deleted: SHA-256 expected ${expected}, actual ${actual}`,
    );
  }
  // Without a hash a file that a server cut short looks complete; its own header says otherwise.
  if (expected === null) {
    await checkGgufIsWhole(partPath(request.destination)).catch(async (error: unknown) => {
      await part.discard();
      throw new DownloadError(`${request.url}: the file arrived damaged and was deleted: ${messageOf(error)}`);
    });
  }
  await part.commit();
  const verifiedBy = request.sha256 !== null ? "manifest" : offered !== null ? "server" : "nobody";
  return { sizeBytes: part.lengthBytes, sha256: actual, verifiedBy };
}

/** A failure after which another attempt may succeed. */
class Interruption extends Error {
  /** The server's own wish; null: back off. */
  readonly retryAfterMs: number | null;
  constructor(message: string, retryAfterMs: number | null = null) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** No connection was made: the name has no address, or nothing answers there. */
class ConnectionFailure extends Interruption {
  readonly host: string;
  constructor(message: string, host: string) {
    super(message);
    this.host = host;
  }
}

/** The attempts for one file, until its last byte is in the part. */
class Transfer {
  readonly #request: DownloadRequest;
  readonly #options: DownloadOptions;
  readonly #runtime: DownloadRuntime;
  readonly #part: PartFile;
  readonly #lock: PartLock;
  readonly #rate: RateMeter;

  constructor(
    request: DownloadRequest,
    options: DownloadOptions,
    runtime: DownloadRuntime,
    part: PartFile,
    lock: PartLock,
  ) {
    this.#request = request;
    this.#options = options;
    this.#runtime = runtime;
    this.#part = part;
    this.#lock = lock;
    this.#rate = new RateMeter(runtime.clock);
  }

  async complete(): Promise<void> {
    const { signal, onRetry } = this.#options;
    let failures = 0;
    /** The host that none of those failures reached; null: one of them got further, or they were of several hosts. */
    let unreachedHost: string | null = null;
    for (;;) {
      // A crash before the rename, or a connection that broke after the last byte, leaves a whole part.
      if (this.#part.lengthBytes > 0 && this.#part.lengthBytes === this.#part.identity?.size_bytes) return;
      const before = this.#part.lengthBytes;
      try {
        await this.#attempt();
        return;
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof Interruption)) throw error;
        failures = this.#part.lengthBytes - before >= progressBytes ? 1 : failures + 1;
        const host = error instanceof ConnectionFailure ? error.host : null;
        unreachedHost = failures === 1 || host === unreachedHost ? host : null;
        if (failures >= maxFailures) {
          const message = `${this.#request.url}: gave up after ${failures} attempts: ${error.message}`;
          throw unreachedHost === null ? new DownloadError(message) : new UnreachableError(message, unreachedHost);
        }
        const delayMs = error.retryAfterMs ?? backOffMs(failures, this.#runtime.random());
        onRetry?.(error.message, delayMs);
        await this.#lock.renew();
        await this.#runtime.sleep(delayMs, signal);
      }
    }
  }

  /** One answer of the server, read to its end. */
  async #attempt(): Promise<void> {
    const stall = new AbortController();
    const signals = this.#options.signal === undefined ? [stall.signal] : [this.#options.signal, stall.signal];
    const watch = new StallWatch(this.#runtime.clock, stall);
    try {
      const answer = await this.#fetch(AbortSignal.any(signals));
      watch.restart();
      await this.#receive(answer, watch);
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      throw stall.signal.aborted
        ? new Interruption(`nothing arrived for ${stallMs / 1000} s`)
        : (networkInterruption(error) ?? error);
    } finally {
      watch.stop();
      // Frees the connection of an answer that was not read to its end.
      stall.abort();
    }
  }

  async #fetch(signal: AbortSignal): Promise<Answer> {
    // Compressed bytes would make lengths and ranges mean something else.
    const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "gguf-experts" };
    const { identity, lengthBytes } = this.#part;
    // Without a validator nothing would tell the rest of this file from the rest of another.
    const validator = identity?.etag ?? identity?.sha256 ?? this.#request.sha256;
    if (lengthBytes > 0 && identity !== null && validator !== null) {
      headers["range"] = `bytes=${lengthBytes}-`;
      if (identity.etag !== null) headers["if-range"] = identity.etag;
    }
    return followRedirects(this.#request, headers, signal);
  }

  async #receive(answer: Answer, watch: StallWatch): Promise<void> {
    const { response } = answer;
    switch (response.status) {
      case 200:
        await this.#receiveWhole(answer, watch);
        return;
      case 206:
        await this.#receiveRest(answer, watch);
        return;
      case 416:
        // The part is longer than the file has become.
        await this.#part.restart();
        throw new Interruption("the file has changed at its source", 0);
      default:
        await this.#refuse(response);
    }
  }

  /** From the first byte: nothing was there yet, the server knows no ranges, or the file has changed. */
  async #receiveWhole(answer: Answer, watch: StallWatch): Promise<void> {
    const { response } = answer;
    const chunks = chunksOf(response);
    const head = await readHead(chunks, watch);
    if (!head.subarray(0, ggufMagic.length).equals(ggufMagic)) {
      const type = response.headers.get("content-type")?.split(";")[0] ?? "no content type";
      throw new DownloadError(
        `${this.#request.url} is no GGUF file but ${type}: ${JSON.stringify(firstLine(head.toString("utf8")))}`,
      );
    }
    if (!isIdentityEncoded(response))
      throw new DownloadError(
        `${this.#request.url}: the server compresses the file (${response.headers.get("content-encoding")})`,
      );
    const identity = this.#identify(answer, contentLength(response));
    // Only now: an error page must not cost the gigabytes of an earlier attempt.
    if (this.#part.lengthBytes > 0) await this.#part.restart();
    await this.#checkDisk(identity.size_bytes);
    await this.#part.begin(identity);
    await this.#append(head, identity);
    await this.#appendAll(chunks, identity, watch);
  }

  async #receiveRest(answer: Answer, watch: StallWatch): Promise<void> {
    const { response } = answer;
    const known = this.#part.identity;
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get("content-range") ?? "");
    const totalBytes = range?.[2] === undefined || range[2] === "*" ? null : Number(range[2]);
    if (
      known === null ||
      range === null ||
      Number(range[1]) !== this.#part.lengthBytes ||
      !isIdentityEncoded(response)
    ) {
      await this.#part.restart();
      throw new Interruption(`the server sent another range than it was asked for`, 0);
    }
    const identity = this.#identify(answer, totalBytes ?? known.size_bytes);
    if (!isSameFile(known, identity)) {
      await this.#part.restart();
      throw new Interruption("the file has changed at its source", 0);
    }
    await this.#checkDisk(identity.size_bytes);
    await this.#appendAll(chunksOf(response), identity, watch);
  }

  /** What the server says of the file, once that agrees with what the manifest says. */
  #identify({ response, linked }: Answer, totalBytes: number | null): PartIdentity {
    const { url, sizeBytes, sha256 } = this.#request;
    const offered = linked.sha256 ?? reprDigest(response);
    const disagreement = (what: string, expected: string | number, actual: string | number) =>
      new DownloadError(
        `${url} is not the file that was expected: ${what} expected ${expected}, the server offers ${actual}. ` +
          "It was probably replaced at its source.",
      );
    if (sha256 !== null && offered !== null && offered !== sha256) throw disagreement("SHA-256", sha256, offered);
    const size = totalBytes ?? linked.sizeBytes ?? sizeBytes;
    for (const expected of [sizeBytes, linked.sizeBytes])
      if (expected !== null && size !== null && size !== expected) throw disagreement("size", expected, size);
    const etag = response.headers.get("etag");
    // If-Range takes strong validators only.
    return { url, etag: etag?.startsWith('"') === true ? etag : null, size_bytes: size, sha256: offered };
  }

  async #appendAll(chunks: AsyncIterable<Uint8Array>, identity: PartIdentity, watch: StallWatch): Promise<void> {
    let checkedBytes = this.#part.lengthBytes;
    for await (const chunk of chunks) {
      watch.restart();
      await this.#append(chunk, identity);
      if (this.#part.lengthBytes - checkedBytes < diskCheckBytes) continue;
      checkedBytes = this.#part.lengthBytes;
      await this.#checkDisk(null);
      await this.#lock.renew();
    }
    const { lengthBytes } = this.#part;
    const total = identity.size_bytes;
    if (total !== null && lengthBytes < total)
      throw new Interruption(`the connection ended after ${lengthBytes} of ${total} bytes`);
  }

  async #append(chunk: Uint8Array, identity: PartIdentity): Promise<void> {
    const total = identity.size_bytes;
    if (total !== null && this.#part.lengthBytes + chunk.byteLength > total) {
      await this.#part.discard();
      throw new DownloadError(`${this.#request.url}: the server sent more than the ${total} bytes it announced`);
    }
    await this.#part.append(chunk);
    this.#rate.add(chunk.byteLength);
    this.#options.onProgress?.({
      receivedBytes: this.#part.lengthBytes,
      totalBytes: total,
      bytesPerSecond: this.#rate.bytesPerSecond(),
    });
  }

  /** `totalBytes` null: checks only that the reserve is still free. */
  async #checkDisk(totalBytes: number | null): Promise<void> {
    const folder = dirname(this.#request.destination);
    const missing = totalBytes === null ? 0 : totalBytes - this.#part.lengthBytes;
    const free = await this.#runtime.freeBytes(folder);
    if (free >= missing + reservedDiskBytes) return;
    throw new DownloadError(
      `Not enough space in ${folder}: ${formatBytes(free)} free, ` +
        `${formatBytes(missing)} to come and ${formatBytes(reservedDiskBytes)} to be left free`,
    );
  }

  async #refuse(response: Response): Promise<never> {
    const status = `HTTP ${response.status}`;
    const text = firstLine((await readHead(chunksOf(response), null)).toString("utf8"));
    const said = text === "" ? status : `${status}, ${JSON.stringify(text)}`;
    const { url, token } = this.#request;
    switch (response.status) {
      case 401:
      case 403:
        throw new DownloadError(
          `${url}: access refused (${said}). ` +
            (token === null
              ? "If the model asks for an accepted licence, accept it on its page and set HF_TOKEN."
              : "The token in HF_TOKEN does not open this file, or the model's licence was not accepted with it."),
        );
      case 404:
      case 410:
        throw new DownloadError(`${url}: there is no such file (${said})`);
      case 408:
      case 425:
      case 429:
      case 500:
      case 502:
      case 503:
      case 504: {
        const retryAfterMs = parseRetryAfter(response.headers.get("retry-after"), this.#runtime.clock.epochMs());
        if (retryAfterMs !== null && retryAfterMs > maxRetryAfterMs)
          throw new DownloadError(`${url}: ${said}; the server asks to wait ${Math.ceil(retryAfterMs / 1000)} s`);
        throw new Interruption(said, retryAfterMs);
      }
      default:
        throw new DownloadError(`${url}: unexpected answer (${said})`);
    }
  }
}

interface Answer {
  readonly response: Response;
  /** What the page in front of the storage says of the file; Hugging Face says it on its redirect. */
  readonly linked: { readonly sha256: string | null; readonly sizeBytes: number | null };
}

/** Redirects are followed by hand: the token stays with its origin, and digests are read off every answer. */
async function followRedirects(
  request: DownloadRequest,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Answer> {
  const origin = new URL(request.url);
  const tokenAllowed = origin.protocol === "https:" || isLoopback(origin.hostname);
  let url = origin;
  let linked: Answer["linked"] = { sha256: null, sizeBytes: null };
  for (let redirects = 0; redirects <= maxRedirects; redirects += 1) {
    const authorised = request.token !== null && tokenAllowed && url.origin === origin.origin;
    const response = await fetch(url.href, {
      headers: authorised ? { ...headers, authorization: `Bearer ${request.token}` } : headers,
      redirect: "manual",
      signal,
    }).catch((error: unknown) => {
      throw connectionFailure(error, url.host) ?? error;
    });
    const sha256 = /^"?([0-9a-f]{64})"?$/.exec(response.headers.get("x-linked-etag") ?? "")?.[1] ?? null;
    const size = response.headers.get("x-linked-size");
    linked = {
      sha256: linked.sha256 ?? sha256,
      sizeBytes: linked.sizeBytes ?? (size !== null && /^\d+$/.test(size) ? Number(size) : null),
    };
    const location = response.headers.get("location");
    if (![301, 302, 303, 307, 308].includes(response.status) || location === null) return { response, linked };
    await response.body?.cancel();
    const next = URL.canParse(location, url.href) ? new URL(location, url) : null;
    if (next === null || !/^https?:$/.test(next.protocol) || (url.protocol === "https:" && next.protocol === "http:"))
      throw new DownloadError(`${request.url}: refused the redirect to ${JSON.stringify(clip(location))}`);
    url = next;
  }
  throw new DownloadError(`${request.url}: more than ${maxRedirects} redirects`);
}

/** Whether the bytes that follow continue those that are there. */
function isSameFile(known: PartIdentity, now: PartIdentity): boolean {
  const agree = <T>(left: T | null, right: T | null) => left === null || right === null || left === right;
  return agree(known.size_bytes, now.size_bytes) && agree(known.sha256, now.sha256) && agree(known.etag, now.etag);
}

function isIdentityEncoded(response: Response): boolean {
  return ["identity", null].includes(response.headers.get("content-encoding"));
}

function contentLength(response: Response): number | null {
  const length = response.headers.get("content-length");
  return length !== null && /^\d+$/.test(length) ? Number(length) : null;
}

/** RFC 9530: the digest of the whole file, also on a partial answer. */
function reprDigest(response: Response): string | null {
  const encoded = /(?:^|[,\s])sha-256=:([A-Za-z0-9+/]{43}=):/.exec(response.headers.get("repr-digest") ?? "")?.[1];
  return encoded === undefined ? null : Buffer.from(encoded, "base64").toString("hex");
}

/** Seconds or an HTTP date; null where it is neither. Never negative. */
function parseRetryAfter(value: string | null, nowEpochMs: number): number | null {
  if (value === null) return null;
  const delayMs = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - nowEpochMs;
  return Number.isFinite(delayMs) ? Math.max(0, delayMs) : null;
}

/** Exponential, with half of it left to chance so that many machines do not come back at once. */
function backOffMs(failures: number, random: number): number {
  return Math.min(maxDelayMs, firstDelayMs * 2 ** (failures - 1)) * (0.5 + random / 2);
}

async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
    reader.releaseLock();
  }
}

/** The first bytes of a body, at least 1 KiB where there are so many: enough for a header or an error page's first line. */
async function readHead(chunks: AsyncGenerator<Uint8Array>, watch: StallWatch | null): Promise<Buffer> {
  let head = Buffer.alloc(0);
  while (head.length < 1024) {
    const next = await chunks.next();
    if (next.done === true) break;
    watch?.restart();
    head = Buffer.concat([head, next.value]);
  }
  return head;
}

/** The first line of an error page that a person would read. */
function firstLine(text: string): string {
  const visible = text
    .slice(0, 4096)
    .replace(/<(script|style|!--)[\s\S]*?(<\/\1>|-->|$)/gi, " ")
    .replace(/<[^>]*>?/g, "\n");
  const line = visible.split(/[\r\n]+/).find((candidate) => candidate.trim() !== "") ?? "";
  // oxlint-disable-next-line no-control-regex -- binary rubbish must not reach a terminal
  return clip(line.trim().replace(/[\u0000-\u001f\u007f-\u009f]+/g, " "), 120);
}

/** fetch hides the reason of a network failure in `cause`. A bad certificate does not get better by trying again. */
function networkInterruption(error: unknown): Interruption | DownloadError | null {
  if (!(error instanceof TypeError)) return null;
  const cause = error.cause as (NodeJS.ErrnoException & { readonly errors?: readonly unknown[] }) | undefined;
  const reason = cause === undefined ? error.message : messageOf(cause.errors?.[0] ?? cause) || (cause.code ?? "");
  if (/CERT|TLS|SSL/.test(cause?.code ?? "")) return new DownloadError(`The connection is not safe: ${reason}`);
  return new Interruption(reason === "" ? "the connection failed" : reason);
}

const unreachedCodes: ReadonlySet<string | undefined> = new Set([
  "EAI_AGAIN",
  "ENOTFOUND",
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** Null where a connection was made and something else went wrong. */
function connectionFailure(error: unknown, host: string): ConnectionFailure | null {
  const interruption = networkInterruption(error);
  if (!(interruption instanceof Interruption)) return null;
  const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
  return unreachedCodes.has(cause?.code) ? new ConnectionFailure(interruption.message, host) : null;
}

function diskError(error: unknown, destination: string): DownloadError | null {
  const code = (error as NodeJS.ErrnoException).code ?? "";
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return new DownloadError(`${dirname(destination)}: the disk or the quota is full`);
    case "EACCES":
    case "EPERM":
    case "EROFS":
    case "ENOTDIR":
    case "EISDIR":
    case "EEXIST":
      return new DownloadError(`${destination} cannot be written: ${messageOf(error)}`);
    default:
      return null;
  }
}

/** Aborts when nobody restarts it for `stallMs`. */
class StallWatch {
  readonly #clock: Clock;
  readonly #controller: AbortController;
  #cancel: () => void = () => {};

  constructor(clock: Clock, controller: AbortController) {
    this.#clock = clock;
    this.#controller = controller;
    this.restart();
  }

  restart(): void {
    this.#cancel();
    this.#cancel = this.#clock.setTimer(stallMs, () => this.#controller.abort());
  }

  stop(): void {
    this.#cancel();
  }
}

/** Bytes per second over the last few seconds. */
class RateMeter {
  readonly #clock: Clock;
  readonly #samples: { readonly atMs: number; bytes: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#samples.push({ atMs: clock.nowMs(), bytes: 0 });
  }

  add(bytes: number): void {
    const nowMs = this.#clock.nowMs();
    const last = this.#samples.at(-1);
    if (last !== undefined && nowMs - last.atMs < 250) last.bytes += bytes;
    else this.#samples.push({ atMs: nowMs, bytes });
    while (this.#samples.length > 2 && nowMs - (this.#samples[0]?.atMs ?? nowMs) > 5_000) this.#samples.shift();
  }

  bytesPerSecond(): number {
    const first = this.#samples[0];
    const elapsedMs = first === undefined ? 0 : this.#clock.nowMs() - first.atMs;
    const bytes = this.#samples.reduce((sum, sample) => sum + sample.bytes, 0);
    return elapsedMs > 0 ? (bytes * 1000) / elapsedMs : 0;
  }
}
