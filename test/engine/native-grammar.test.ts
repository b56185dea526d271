// The tokens that the native matcher allows against two others that know nothing of it: a plain search over the tokens'
// bytes, and llama.cpp's own grammar; and what it does with grammars that nobody can follow.
import path from "node:path";
import {
  getLlama,
  GgufInsights,
  type Llama,
  type LlamaContext,
  type LlamaModel,
  readGgufFileInfo,
} from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { silentLogger } from "../../src/core/log.ts";
import {
  createGrammarState,
  type NativeGrammarState,
  nativeContextOf,
  openContext,
  openModel,
} from "../../src/engine/llama/bindings.ts";
import { loadNativeAddon } from "../../src/engine/llama/native-addon.ts";
import type { NativeExports, NativeSession } from "../../src/engine/llama/native-exports.ts";
import { vocabularyOf } from "../../src/engine/llama/prompt-vocabulary.ts";
import { samplerSettings } from "../../src/engine/llama/sampling.ts";
import { parseGrammar } from "../../src/grammar/gbnf.ts";
import type { Grammar } from "../../src/grammar/grammar.ts";
import { repositoryRoot } from "../support/server-process.ts";

const demo = (name: string) => path.join(repositoryRoot, `models/demo/demo-${name}.gguf`);

const json = String.raw`
root ::= object
value ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= "-"? ([0-9] | [1-9] [0-9]{0,15}) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
`;

/** Grammars, and texts that begin or follow them. */
const cases: Record<string, { readonly gbnf: string; readonly texts: readonly string[] }> = {
  json: {
    gbnf: json,
    texts: [
      '{"role": "consulta", "respuesta_chat": "Riega por la mañana 🌱 \\u00e9\\n", "n": [1, -2.5e3, true, null, {}]}',
      '{"a": [[[["]"]]]], "": "日本語 und ß"}',
    ],
  },
  "an enumeration": {
    gbnf: 'root ::= "formulario" | "consulta" | "consultas" | "intervención" | "日本" | "日曜日"',
    texts: ["consultas", "intervención", "日曜日"],
  },
  "counted characters of several lengths": {
    gbnf: String.raw`root ::= [a-zá-ü日-本]{2,6} [^é€\U0001F600]{1,3} "end"?`,
    texts: ["agñé日xyzend", "abcend", "日日日日日日end"],
  },
  "any character": { gbnf: "root ::= . . .*", texts: ["a€🌱 b", "日本"] },
  "ambiguous rules": {
    gbnf: 'root ::= item*\nitem ::= word | word " " | number\nword ::= [a-z]+\nnumber ::= [0-9]+ | [0-9a-f]+',
    texts: ["abc 12fe x", "deadbeef "],
  },
  "rules that call themselves": {
    gbnf: 'root ::= sum\nsum ::= term ("+" term)*\nterm ::= [0-9]+ | "(" sum ")"',
    texts: ["1+(2+(33+4))+5", "((((1))))"],
  },
};

interface Opened {
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly session: NativeSession;
}

let llama: Llama;
let addon: NativeExports;
const opened = new Map<string, Promise<Opened>>();

beforeAll(async () => {
  llama = await getLlama({ build: "never", gpu: false, skipDownload: true });
  const loaded = loadNativeAddon({ log: silentLogger });
  if (loaded === null) throw new Error("no addon");
  addon = loaded;
});

afterAll(async () => {
  for (const opening of opened.values()) {
    const { model, context, session } = await opening;
    session.close();
    await context.dispose();
    await model.dispose();
  }
  await llama.dispose();
});

async function open(file: string): Promise<Opened> {
  const insights = await GgufInsights.from(await readGgufFileInfo(file), llama);
  const signal = new AbortController().signal;
  const model = await openModel(llama, { path: file, insights, mapped: true, signal, onProgress: () => {} });
  const sizes = { contextTokens: 256, slots: 1, batchTokens: 64 };
  const context = await openContext(model, { ...sizes, embeddings: false, ranking: false, threads: 1 });
  const session = new addon.Session(nativeContextOf(context), { batchTokens: 64, sequences: 1, threads: 1 });
  return { model, context, session };
}

function openedOnce(file: string): Promise<Opened> {
  const known = opened.get(file) ?? open(file);
  opened.set(file, known);
  return known;
}

/** Positions in a grammar's elements, the last on top; as text, so that a set finds equal ones. */
type Stacks = ReadonlySet<string>;

/** Follows a grammar in the plainest way: all stacks, one code point after the other. */
class PlainMatcher {
  readonly #elements: Int32Array;

  constructor({ elements }: Grammar) {
    this.#elements = elements;
  }

  start(): Stacks {
    const stacks = new Set<string>();
    for (const at of this.#alternatives(this.#elements[1] ?? 0)) this.#open(this.#endsAt(at) ? [] : [at], stacks);
    return stacks;
  }

  next(stacks: Stacks, codePoint: number): Stacks {
    const next = new Set<string>();
    for (const text of stacks) {
      if (text === "") continue;
      const stack = text.split(",").map(Number);
      const after = this.#match(stack.pop() ?? 0, codePoint);
      if (after === null) continue;
      if (!this.#endsAt(after)) stack.push(after);
      this.#open(stack, next);
    }
    return next;
  }

  #open(stack: readonly number[], into: Set<string>): void {
    const top = stack.at(-1);
    if (top === undefined || this.#elements[top] !== 2) {
      into.add(stack.join(","));
      return;
    }
    const rest = [...stack.slice(0, -1), ...(this.#endsAt(top + 2) ? [] : [top + 2])];
    for (const at of this.#alternatives(this.#elements[top + 1] ?? 0)) {
      this.#open(this.#endsAt(at) ? rest : [...rest, at], into);
    }
  }

  #endsAt(at: number): boolean {
    return (this.#elements[at] ?? 0) <= 1;
  }

  #alternatives(rule: number): number[] {
    const found = [this.#elements[2 + rule] ?? 0];
    for (let at = found[0] ?? 0; this.#elements[at] !== 0; at += 2) if (this.#elements[at] === 1) found.push(at + 2);
    return found;
  }

  /** Where the grammar goes on behind the set of characters; null where this one is not in it. */
  #match(start: number, codePoint: number): number | null {
    const type = this.#elements[start];
    let isIn = type === 7;
    let at = start;
    do {
      const low = this.#elements[at + 1] ?? 0;
      const high = this.#elements[at + 2] === 5 ? (this.#elements[at + 3] ?? 0) : low;
      isIn ||= low <= codePoint && codePoint <= high;
      at += this.#elements[at + 2] === 5 ? 4 : 2;
    } while (this.#elements[at] === 6);
    return isIn === (type !== 4) ? at : null;
  }
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Whole characters, and the bytes behind them that only begin one; null where the bytes are no UTF-8. */
function split(bytes: Uint8Array): { readonly whole: string; readonly rest: Uint8Array } | null {
  for (let cut = 0; cut <= Math.min(3, bytes.length); cut++) {
    try {
      const whole = strict.decode(bytes.subarray(0, bytes.length - cut));
      const rest = bytes.subarray(bytes.length - cut);
      return cut === 0 || completions(rest).length > 0 ? { whole, rest } : null;
    } catch {
      // A byte less, perhaps.
    }
  }
  return null;
}

const encoder = new TextEncoder();

/** By the bytes that a character begins with: the first and the last that do, and all that the grammars here tell apart. */
const completionsOf = new Map<string, number[]>();

function learn(codePoint: number): void {
  if (codePoint < 0x80 || codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) return;
  const bytes = encoder.encode(String.fromCodePoint(codePoint));
  for (let length = 1; length < bytes.length; length++) {
    const key = bytes.subarray(0, length).join();
    const known = completionsOf.get(key);
    if (known === undefined) completionsOf.set(key, [codePoint]);
    else known.push(codePoint);
  }
}

for (const { elements } of Object.values(cases).map(({ gbnf }) => parseGrammar(gbnf))) {
  for (const value of elements) for (const codePoint of [value - 1, value, value + 1]) learn(codePoint);
}

/** Beginnings that were padded already. */
const padded = new Set<string>();

function completions(bytes: Uint8Array): readonly number[] {
  const key = bytes.join();
  if (!padded.has(key)) {
    padded.add(key);
    const [lead = 0] = bytes;
    const length = lead < 0xc2 || lead > 0xf4 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    // The least and the greatest second bytes that there are, and the others' extremes.
    for (const second of [0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf]) {
      for (const filler of [0x80, 0xbf]) {
        const whole = [...bytes, ...(bytes.length === 1 ? [second] : [])];
        while (whole.length < length) whole.push(filler);
        try {
          if (bytes.length < length) learn(strict.decode(Uint8Array.from(whole)).codePointAt(0) ?? 0);
        } catch {
          // No character.
        }
      }
    }
  }
  return completionsOf.get(key) ?? [];
}

function join(left: Uint8Array, right: Uint8Array): Uint8Array {
  return Uint8Array.from([...left, ...right]);
}

/** A deterministic stream of numbers from 0 to 1. */
function randoms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Sampler {
  canBeNextTokenForGrammarEvaluationState(state: NativeGrammarState, token: number): boolean;
  acceptGrammarEvaluationStateToken(state: NativeGrammarState, token: number): void;
}

const files = {
  "stories260K (SentencePiece with bytes)": path.join(repositoryRoot, "test/data/stories260K.gguf"),
  "demo qwen_coder (byte pairs)": demo("qwen_coder"),
  "demo gemma3_multimodal (SentencePiece)": demo("gemma3_multimodal"),
};

describe.each(Object.entries(files))("with the vocabulary of %s", (_, file) => {
  it.each(Object.entries(cases))("allows what two others allow under %s", async (_name, { gbnf, texts }) => {
    const { model, session } = await openedOnce(file);
    const vocabulary = vocabularyOf(model);
    const grammar = parseGrammar(gbnf);
    const native = new addon.Grammar(session, grammar.elements, []);
    const plain = new PlainMatcher(grammar);
    const { _bindings: bindings } = llama as unknown as { _bindings: { AddonSampler: Sampler } };
    const llamaCpp = bindings.AddonSampler;
    const size = session.vocabularySize;
    const bytes = Array.from({ length: size }, (_unused, token) => vocabulary.bytes(token, true));
    const ends = (token: number) => model.isEogToken(token as never);
    const isSilent = (token: number) => vocabulary.wholeText(token) === "" || bytes[token]?.includes(0) === true;

    const alone = bytes.map((own) => split(own));
    const splitBehind = (rest: Uint8Array, token: number) =>
      rest.length === 0 ? alone[token] : split(join(rest, bytes[token] ?? new Uint8Array()));
    const check = (prefix: readonly number[]): readonly number[] => {
      const allowed = [...native.allowedAfter(Int32Array.from(prefix))];
      const before = split(
        prefix.reduce<Uint8Array>((sum, token) => join(sum, bytes[token] ?? new Uint8Array()), new Uint8Array()),
      );
      if (before === null) throw new Error("the prefix is no text");
      let stacks = plain.start();
      for (const character of before.whole) stacks = plain.next(stacks, character.codePointAt(0) ?? 0);
      const memo = new Map<string, Stacks>([["", stacks]]);
      const after = (text: string): Stacks => {
        const known = memo.get(text);
        if (known !== undefined) return known;
        const characters = Array.from(text);
        const last = characters.pop() ?? "";
        const before = after(characters.join(""));
        const next = before.size === 0 ? before : plain.next(before, last.codePointAt(0) ?? 0);
        memo.set(text, next);
        return next;
      };
      const going = new Map<string, boolean>();
      const canGoOn = (at: Stacks, rest: Uint8Array): boolean => {
        const key = [...at, rest.join()].join(";");
        const known = going.get(key) ?? completions(rest).some((codePoint) => plain.next(at, codePoint).size > 0);
        going.set(key, known);
        return known;
      };
      const expected: number[] = [];
      for (let token = 0; token < size; token++) {
        if (ends(token)) {
          if (before.rest.length === 0 && stacks.has("")) expected.push(token);
          continue;
        }
        const own = bytes[token] ?? new Uint8Array();
        if (own.length === 0 || isSilent(token)) continue;
        const parts = splitBehind(before.rest, token) ?? null;
        if (parts === null) continue;
        const at = after(parts.whole);
        if (at.size === 0) continue;
        const { rest } = parts;
        if (rest.length === 0 || canGoOn(at, rest)) {
          expected.push(token);
        }
      }
      expect(allowed).toEqual(expected);

      // llama.cpp lets bytes through that are no text, and texts of control tokens; nothing else.
      const state = createGrammarState(llama, model, gbnf);
      for (const token of prefix) llamaCpp.acceptGrammarEvaluationStateToken(state, token);
      const ours = new Set(allowed);
      const differs = Array.from({ length: size }, (_unused, token) => token).filter((token) => {
        if (ours.has(token) === llamaCpp.canBeNextTokenForGrammarEvaluationState(state, token)) return false;
        if (ours.has(token)) return !splitsCharacter(before.rest, bytes[token]);
        return !isSilent(token) && !ends(token) && splitBehind(before.rest, token) !== null;
      });
      expect(differs).toEqual([]);
      return allowed;
    };

    const random = randoms(gbnf.length);
    for (const text of texts) {
      const tokens = bytePieces(text, bytes, random);
      const places = new Set([
        0,
        1,
        2,
        tokens.length,
        ...Array.from({ length: 4 }, () => Math.floor(random() * tokens.length)),
      ]);
      for (const place of places) {
        const allowed = check(tokens.slice(0, place));
        expect(allowed).toEqual(expect.arrayContaining(tokens.slice(place, place + 1)));
      }
    }
    // And where chance leads.
    const prefix: number[] = [];
    for (let length = 0; length < 5; length++) {
      const allowed = check(prefix).filter((token) => !ends(token));
      const token = allowed[Math.floor(random() * allowed.length)];
      if (token === undefined) break;
      prefix.push(token);
    }
  });
});

/** Whether the bytes end, or began, within a character: llama.cpp refuses some beginnings that could still become right. */
function splitsCharacter(before: Uint8Array, bytes: Uint8Array | undefined): boolean {
  return before.length > 0 || (split(bytes ?? new Uint8Array())?.rest.length ?? 0) > 0;
}

/** The text in tokens of random lengths, by its bytes. */
function bytePieces(text: string, bytes: readonly Uint8Array[], random: () => number): number[] {
  const wanted = new TextEncoder().encode(text);
  const tokens: number[] = [];
  for (let at = 0; at < wanted.length;) {
    const fitting = bytes
      .map((own, token) => ({ own, token }))
      .filter(
        ({ own }) => own.length > 0 && own[0] === wanted[at] && own.every((byte, index) => byte === wanted[at + index]),
      );
    const chosen = fitting[Math.floor(random() * fitting.length)];
    if (chosen === undefined) return tokens;
    tokens.push(chosen.token);
    at += chosen.own.length;
  }
  return tokens;
}

describe("grammars that nobody can follow", () => {
  const stories = path.join(repositoryRoot, "test/data/stories260K.gguf");

  it("are given up where a character must be looked for in endless sets", async () => {
    const { session } = await openedOnce(stories);
    const set = (first: number, count: number) =>
      Array.from({ length: count }, (_, index) => String.fromCodePoint(first + 2 * index)).join("");
    const grammar = parseGrammar(
      `root ::= [${set(0x40000, 200_000)}] rest | "q" root\nrest ::= [${set(0x10000, 90_000)}]`,
    );
    const native = new addon.Grammar(session, grammar.elements, []);
    expect(() => native.allowedAfter(new Int32Array())).toThrow(/too ambiguous/);
  });
});

it("gives everything back when the session ends, and takes no more", async () => {
  const { model, context, session } = await open(path.join(repositoryRoot, "test/data/stories260K.gguf"));
  const grammar = new addon.Grammar(session, parseGrammar('root ::= "a"*').elements, []);
  expect(grammar.allowedAfter(new Int32Array()).length).toBeGreaterThan(0);
  const settings = samplerSettings({}, () => 1);
  const config = {
    ...settings,
    biasedTokens: new Int32Array(),
    addedLogits: new Float32Array(),
    history: new Int32Array(),
    grammar,
    topLogprobs: null,
  };
  const sampler = new addon.Sampler(session, config);
  session.close();
  sampler.close();
  sampler.close();
  expect(() => grammar.allowedAfter(new Int32Array())).toThrow(/closed/);
  expect(() => new addon.Sampler(session, config)).toThrow(/closed/);
  await context.dispose();
  await model.dispose();
});
