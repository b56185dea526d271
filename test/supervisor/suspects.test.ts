import { describe, expect, it } from "vitest";
import { killsWindowMs, Suspects } from "../../src/supervisor/suspects.ts";

const loading = (...ids: string[]) => ({ loading: ids, generating: [] });
const generating = (...ids: string[]) => ({ loading: [], generating: ids });

describe("who is suspected", () => {
  it("those that load; those that generate only where none loads; nobody where nothing ran", () => {
    const suspects = new Suspects();
    expect(suspects.died({ loading: ["a"], generating: ["b", "c"] }, "SIGKILL", 0)).toMatchObject({
      suspects: ["a"],
      phase: "loading",
    });
    expect(suspects.died(generating("b", "c", "b"), "SIGKILL", 1)).toMatchObject({
      suspects: ["b", "c"],
      phase: "generating",
    });
    expect(suspects.died(generating(), "SIGKILL", 2)).toEqual({ suspects: [], phase: null, quarantined: [] });
    expect(suspects.quarantined.size).toBe(0);
  });
});

describe("the second kill", () => {
  it("quarantines that model alone, with what happened both times", () => {
    const suspects = new Suspects();
    suspects.died(generating("a"), "SIGSEGV", 0);
    suspects.died(generating("b"), "SIGSEGV", 1);
    const reason = "the process was ended by SIGSEGV twice while it was generating";
    expect(suspects.died(generating("a"), "SIGSEGV", 2).quarantined).toEqual([["a", reason]]);
    expect([...suspects.quarantined]).toEqual([["a", reason]]);
  });

  it("tells two causes apart", () => {
    const suspects = new Suspects();
    suspects.died(loading("a"), "SIGABRT", 0);
    suspects.died(generating("a"), "SIGKILL", 1);
    expect(suspects.quarantined.get("a")).toBe(
      "the process was ended twice: by SIGABRT while it was loading, then by SIGKILL while it was generating",
    );
  });

  it("does not count a kill of long ago", () => {
    const suspects = new Suspects();
    suspects.died(loading("a"), "SIGSEGV", 0);
    expect(suspects.died(loading("a"), "SIGSEGV", killsWindowMs).quarantined).toEqual([]);
    expect(suspects.died(loading("a"), "SIGSEGV", 2 * killsWindowMs - 1).quarantined).toHaveLength(1);
  });
});

describe("an operator's word", () => {
  it("ends the quarantine, and two more kills are needed for the next", () => {
    const suspects = new Suspects();
    for (const atMs of [0, 1]) suspects.died(loading("a"), "SIGSEGV", atMs);
    suspects.lift("a");
    expect(suspects.quarantined.size).toBe(0);
    expect(suspects.died(loading("a"), "SIGSEGV", 2).quarantined).toEqual([]);
    expect(suspects.died(loading("a"), "SIGSEGV", 3).quarantined).toHaveLength(1);
  });
});
