// Reads a request's body as JSON, never more than the limit, whatever its content type says. May import core/.
import { visit } from "jsonc-parser";
import { AbandonedError, clip, invalidRequest, PublicError } from "../core/errors.ts";

/** Throws a PublicError: 413 for a body over `maxBytes`, 415 for one that is compressed, 400 for one that is no JSON. AbandonedError: it never came whole. */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  const encoding = request.headers.get("content-encoding") ?? "identity";
  if (encoding.toLowerCase() !== "identity") throw compressed(encoding);
  const bytes = await readBytes(request, maxBytes);
  if (bytes.length === 0) {
    throw invalidRequest("The request has no body; it must be a JSON object.", undefined, "empty_body");
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalidRequest("The request body is not valid UTF-8; it must be a JSON object.", undefined, "invalid_json");
  }
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw invalidRequest(`The request body is not valid JSON${placeOfError(text)}.`, undefined, "invalid_json");
  }
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const announced = request.headers.get("content-length");
  if (announced === null) return readUnannounced(request, maxBytes);
  if (Number(announced) > maxBytes) throw tooLarge(maxBytes, Number(announced));
  // Node's parser holds a client to what it announced.
  return new Uint8Array(await request.arrayBuffer().catch(brokenOff));
}

/** Chunk by chunk, so that no more than the limit is ever taken in. */
async function readUnannounced(request: Request, maxBytes: number): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader: ReadableStreamDefaultReader<Uint8Array> = request.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch(brokenOff);
    if (done) break;
    length += value.length;
    if (length > maxBytes) throw tooLarge(maxBytes, length);
    chunks.push(value);
  }
  return Buffer.concat(chunks, length);
}

/** Reading fails only because the connection broke. */
function brokenOff(cause: unknown): never {
  throw Object.assign(new AbandonedError("The request's body broke off."), { cause });
}

function tooLarge(maxBytes: number, received: number): PublicError {
  return new PublicError(
    `The request body is larger than the ${maxBytes} bytes that this server accepts; received at least ${received}.`,
    { status: 413, type: "invalid_request_error", code: "body_too_large", shouldRetry: false },
  );
}

function compressed(encoding: string): PublicError {
  return new PublicError(
    `Content-Encoding must be absent or identity: this server takes no compressed bodies; received ${JSON.stringify(clip(encoding))}.`,
    { status: 415, type: "invalid_request_error", code: "unsupported_encoding", shouldRetry: false },
  );
}

/** ` at line 1, column 9, near "…"`; nothing where the place cannot be told. */
function placeOfError(text: string): string {
  let place = "";
  try {
    visit(
      text,
      {
        onError: (_code, offset, _length, line, column) => {
          const near = offset >= text.length ? "the end" : JSON.stringify(clip(text.slice(offset, offset + 20)));
          place = ` at line ${line + 1}, column ${column + 1}, near ${near}`;
          // Nothing after the first error is wanted, and there may be a million more.
          throw new Error("found");
        },
      },
      { disallowComments: true, allowTrailingComma: false },
    );
  } catch {
    // Found; or the finder, which is recursive, met a text nested too deep: its message has no place then.
  }
  return place;
}
