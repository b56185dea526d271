// The stop scanner: text up to the first stop string, however the pieces are cut.
import { array, assert, constantFrom, nat, property } from "fast-check";
import { describe, expect, it } from "vitest";
import { StopScanner } from "../../src/chat/stop-sequences.ts";

function scan(stops: readonly string[], pieces: readonly string[]): { text: string; stopped: boolean } {
  const scanner = new StopScanner(stops);
  let text = "";
  for (const piece of pieces) {
    const result = scanner.push(piece);
    text += result.text;
    if (result.stop !== null) return { text, stopped: true };
  }
  return { text: text + scanner.flush(), stopped: false };
}

describe("StopScanner", () => {
  it("ends before a stop string that is spread over pieces", () => {
    expect(scan(["\n\nUser:"], ["Hi", " there\n", "\nUs", "er: more"])).toEqual({ text: "Hi there", stopped: true });
  });

  it("gives back what only looked like a stop string", () => {
    expect(scan(["###"], ["a#", "#", "b", "##"])).toEqual({ text: "a##b##", stopped: false });
  });

  it("takes the first of several stop strings, not the first in the list", () => {
    expect(scan(["world", "lo"], ["hello world"])).toEqual({ text: "hel", stopped: true });
  });

  it("ignores empty stop strings", () => {
    expect(scan([""], ["abc"])).toEqual({ text: "abc", stopped: false });
  });

  it("sends the same text however it is cut into pieces", () => {
    const letters = array(constantFrom("a", "b", "c", "é"), { maxLength: 30 });
    const stop = array(constantFrom("a", "b", "c", "é"), { minLength: 1, maxLength: 4 });
    assert(
      property(letters, array(stop, { maxLength: 3 }), array(nat(5)), (text, stops, cuts) => {
        const whole = text.join("");
        const strings = stops.map((one) => one.join(""));
        const pieces: string[] = [];
        let position = 0;
        for (const cut of cuts) {
          pieces.push(whole.slice(position, position + cut));
          position += cut;
        }
        pieces.push(whole.slice(position));
        const first = Math.min(...strings.map((one) => whole.indexOf(one)).filter((at) => at !== -1), whole.length);
        const stopped = strings.some((one) => whole.includes(one));
        const actual = scan(strings, pieces);
        expect(actual.stopped).toBe(stopped);
        // A longer stop string may begin earlier than a shorter one that completes first: never later than the first.
        expect(actual.text.length).toBeGreaterThanOrEqual(stopped ? first : whole.length);
        expect(whole.startsWith(actual.text)).toBe(true);
        for (const one of strings) expect(actual.text.includes(one)).toBe(false);
      }),
    );
  });
});
