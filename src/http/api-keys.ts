// Who may come in: `Authorization: Bearer` or `X-Api-Key`, compared in constant time. May import core/.
import { createHash, timingSafeEqual } from "node:crypto";
import { PublicError } from "../core/errors.ts";

/** A check that says why a request may not come in (401); null where it may: with a known key, or where none is set. */
export function createKeyCheck(keys: readonly string[]): (headers: Headers) => PublicError | null {
  const digests = keys.map(digest);
  return (headers) => {
    if (digests.length === 0) return null;
    const bearer = /^bearer +(.+)$/i.exec(headers.get("authorization") ?? "")?.[1];
    const key = bearer ?? headers.get("x-api-key") ?? undefined;
    if (key === undefined) return unauthorised("No API key was sent");
    const sent = digest(key.trim());
    // Every key is compared, so that the time says nothing about which one came near.
    const matches = digests.filter((known) => timingSafeEqual(known, sent)).length;
    return matches === 0 ? unauthorised("The API key is not known to this server") : null;
  };
}

/** Of equal length whatever the key, as the comparison needs. */
function digest(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

function unauthorised(reason: string): PublicError {
  return new PublicError(`${reason}; send one as "Authorization: Bearer KEY" or "X-Api-Key: KEY".`, {
    status: 401,
    type: "authentication_error",
    code: "invalid_api_key",
    shouldRetry: false,
  });
}
