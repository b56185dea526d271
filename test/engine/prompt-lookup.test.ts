// Drafts by prompt lookup: which place is continued, and what its drafts are believed to be worth.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PromptLookup } from "../../src/engine/llama/prompt-lookup.ts";

const letters = (text: string) => Array.from(text, (letter) => letter.codePointAt(0) ?? 0);
const text = (tokens: readonly number[]) => String.fromCodePoint(...tokens);

function lookupAfter(prompt: string, output = ""): PromptLookup {
  const lookup = new PromptLookup(letters(prompt));
  for (const token of letters(output)) lookup.push(token);
  return lookup;
}

/** Numbers from 0 to below `limit`, the same in every run. */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

describe("a draft", () => {
  it("is what followed the end of the text when it occurred before", () => {
    expect(text(lookupAfter("the quick brown fox; the quick").draft(10))).toBe(" brown fox");
  });

  it("is none where the last token is new, or there is no text", () => {
    expect(lookupAfter("abcabcz").draft(4)).toEqual([]);
    expect(lookupAfter("a").draft(4)).toEqual([]);
    const lookup = lookupAfter("");
    expect(lookup.draft(4)).toEqual([]);
    expect(lookup.acceptance(0)).toBe(0);
    lookup.push(1);
    expect(lookup.draft(4)).toEqual([]);
    lookup.push(1);
    expect(lookup.draft(4)).toEqual([1, 1, 1, 1]);
  });

  it("follows the longest agreement rather than the latest", () => {
    expect(text(lookupAfter("..abcd1..bcd2..cd3..abcd").draft(1))).toBe("1");
  });

  it("follows the latest of equally long agreements", () => {
    expect(text(lookupAfter("1abc2 3abc4 5abc").draft(1))).toBe("4");
    expect(text(lookupAfter("ab1 ab2 b").draft(1))).toBe("2");
  });

  it("goes on with itself where it runs into the end of the text", () => {
    expect(text(lookupAfter("xabab").draft(7))).toBe("abababa");
    expect(text(lookupAfter("xaa").draft(3))).toBe("aaa");
    expect(text(lookupAfter("abcdabc").draft(6))).toBe("dabcda");
  });

  it("has the asked length, 0 too", () => {
    expect(lookupAfter("abcabc").draft(0)).toEqual([]);
    expect(lookupAfter("abcabc").draft(-1)).toEqual([]);
    expect(lookupAfter("abcabc").draft(40)).toHaveLength(40);
  });

  it("stays with the place that it copies while its tokens come", () => {
    const source = "function add(left, right) { return left + right; }";
    const lookup = lookupAfter(`${source}\n`, "fun");
    for (const [index, token] of letters(source).entries()) {
      if (index < 3) continue;
      expect(lookup.draft(1)).toEqual([token]);
      lookup.push(token);
    }
  });

  it("finds its way back after a token that was changed", () => {
    const lookup = lookupAfter("one two three four five six\n");
    lookup.draft(1);
    for (const token of letters("one two X four")) lookup.push(token);
    expect(text(lookup.draft(9))).toBe(" five six");
  });

  it("always continues a place that agrees longest, whatever was pushed and asked before", () => {
    const tokens = (alphabet: number) => fc.array(fc.nat({ max: alphabet - 1 }), { maxLength: 120 });
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 9 }).chain((alphabet) => fc.tuple(tokens(alphabet), tokens(alphabet))),
        fc.nat({ max: 30 }),
        ([prompt, output], firstAsked) => {
          const lookup = new PromptLookup(prompt);
          const all = [...prompt];
          for (const [index, token] of output.entries()) {
            lookup.push(token);
            all.push(token);
            if (index < firstAsked) continue;
            const draft = lookup.draft(5);
            const places = all.slice(1).map((_, index) => ({ next: index + 1, agreed: agreedBefore(all, index + 1) }));
            // Beyond 16 tokens the places are not told apart.
            const longest = Math.min(16, Math.max(0, ...places.map(({ agreed }) => agreed)));
            const continuations = places
              .filter(({ agreed }) => longest > 0 && agreed >= longest)
              .map(({ next }) => Array.from({ length: 5 }, (_, offset) => all[next + (offset % (all.length - next))]));
            expect(continuations.length === 0 ? [[]] : continuations).toContainEqual(draft);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("is not taken from a place that only has the hash of the last tokens", () => {
    // In the first, smallest index three fours have the hash of the text's first token.
    const lookup = new PromptLookup([4, 4, 0]);
    for (const token of [4, 4, 4]) {
      lookup.push(token);
      lookup.draft(1);
    }
    expect(lookup.draft(5)).toEqual([4, 4, 4, 4, 4]);
  });

  it("does not depend on which part of the text was the prompt", () => {
    const random = randomNumbers(5);
    const all = Array.from({ length: 5000 }, () => random(40));
    const whole = new PromptLookup(all);
    const pushed = new PromptLookup(all.slice(0, 3));
    for (const token of all.slice(3)) pushed.push(token);
    expect(pushed.draft(20)).toEqual(whole.draft(20));
    expect(whole.draft(20)).toHaveLength(20);
  });

  it.each([64, 512, 150_000])("finds one passage among 100,000 tokens of a vocabulary of %i", (vocabulary) => {
    const random = randomNumbers(11);
    const prompt = Array.from({ length: 100_000 }, () => random(vocabulary));
    const lookup = new PromptLookup(prompt);
    for (const start of [100, 50_000, 99_900]) {
      for (const token of prompt.slice(start, start + 8)) lookup.push(token);
      expect(lookup.draft(12)).toEqual(prompt.slice(start + 8, start + 20));
    }
  });
});

/** How many tokens before `next` equal the end of the text. */
function agreedBefore(all: readonly number[], next: number): number {
  let agreed = 0;
  while (agreed < next && all[next - 1 - agreed] === all[all.length - 1 - agreed]) agreed += 1;
  return agreed;
}

describe("the acceptance", () => {
  it("grows with the length of the agreement, before anything is known of the stream", () => {
    const random = randomNumbers(3);
    const passage = Array.from({ length: 80 }, () => random(100_000));
    const believed = [1, 2, 3, 5, 8, 13, 21].map((agreed) =>
      new PromptLookup([...passage, -1, ...passage.slice(0, agreed)]).acceptance(0),
    );
    expect(believed).toEqual([...believed].sort((left, right) => left - right));
    expect(believed[0]).toBeLessThan(0.3);
    expect(believed.at(-1)).toBeGreaterThan(0.9);
    const long = new PromptLookup([...passage, -1, ...passage.slice(0, 3)]);
    expect(long.acceptance(30)).toBeGreaterThan(long.acceptance(0));
  });

  it("is learnt without a draft being made", () => {
    const random = randomNumbers(4);
    const fresh = () => 1000 + random(1_000_000);
    const lookup = new PromptLookup([1, 2, 3]);
    expect(lookup.draft(1)).toEqual([]);
    // After 1 always something new.
    const believed = Array.from({ length: 30 }, () => {
      lookup.push(fresh());
      lookup.push(1);
      return lookup.acceptance(0);
    });
    expect(believed[0]).toBeGreaterThan(0.1);
    expect(Math.max(...believed.slice(15))).toBeLessThan(0.07);
  });

  it("falls within a few tokens when a stream ceases to repeat itself, and is back as soon as it does", () => {
    const random = randomNumbers(6);
    const passage = Array.from({ length: 60 }, () => random(100_000));
    const lookup = new PromptLookup(passage);
    lookup.draft(1);
    const copy = () => {
      for (const token of passage.slice(0, 40)) lookup.push(token);
      const believed = lookup.acceptance(0);
      for (const token of passage.slice(40)) lookup.push(token);
      return believed;
    };
    expect(copy()).toBeGreaterThan(0.9);
    // Two tokens of the passage at a time, never its third.
    const misled = Array.from({ length: 20 }, (_, index) => {
      lookup.push(passage[3 * index] ?? 0);
      lookup.push(passage[3 * index + 1] ?? 0);
      const believed = lookup.acceptance(0);
      lookup.push(200_000 + index);
      return believed;
    });
    expect(Math.max(...misled.slice(8))).toBeLessThan(0.35);
    for (const token of passage.slice(0, 8)) lookup.push(token);
    expect(lookup.acceptance(0)).toBeGreaterThan(0.7);
    expect(copy()).toBeGreaterThan(0.9);
  });

  it("tells the keys of a record from its values", () => {
    const random = randomNumbers(8);
    const lookup = new PromptLookup(letters("Write ten records.\n"));
    lookup.draft(1);
    const value = () => String(10_000 + random(90_000));
    for (let record = 0; record < 6; record++)
      for (const token of letters(`{"name": "${value()}", "area": "${value()}"}\n`)) lookup.push(token);
    for (const token of letters('{"na')) lookup.push(token);
    const draft = text(lookup.draft(12));
    expect(draft.startsWith('me": "')).toBe(true);
    for (let position = 0; position < 6; position++) expect(lookup.acceptance(position)).toBeGreaterThan(0.8);
    expect(lookup.acceptance(6)).toBeLessThan(0.5);
  });

  it("is a probability", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 3 }), { minLength: 1, maxLength: 200 }), (tokens) => {
        const lookup = new PromptLookup(tokens.slice(0, 1));
        for (const token of tokens) {
          lookup.push(token);
          const hasDraft = lookup.draft(1).length > 0;
          for (const position of [0, 1, 5, 100]) {
            const believed = lookup.acceptance(position);
            expect(believed > 0 && believed < 1).toBe(hasDraft);
          }
        }
      }),
    );
  });
});
