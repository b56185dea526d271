// When an open address is warned of.
import { expect, it } from "vitest";
import { exposureWarning } from "../../src/config/exposure.ts";

it("warns of an address that others reach, and only where no key is asked for", () => {
  expect(exposureWarning({ host: "127.0.0.1", apiKeys: [] })).toBeNull();
  expect(exposureWarning({ host: "::1", apiKeys: [] })).toBeNull();
  expect(exposureWarning({ host: "0.0.0.0", apiKeys: ["k"] })).toBeNull();
  expect(exposureWarning({ host: "0.0.0.0", apiKeys: [] })).toMatch(/^listening on 0\.0\.0\.0 without an API key/);
});
