// What a body of legal size can make the checks do: they stop at the first wrong element, and read no further.
import { describe, expect, it } from "vitest";
import type { ZodType } from "zod";
import { z } from "zod";
import { chatFields } from "../../src/api/openai/chat-request.ts";
import { completionFields } from "../../src/api/openai/completion-request.ts";
import { embeddingBody } from "../../src/api/openai/embedding-request.ts";
import { rerankBody } from "../../src/api/openai/rerank-request.ts";
import { validate } from "../../src/api/common/validation.ts";

const bodies = {
  chat: chatFields,
  completion: completionFields,
  embedding: embeddingBody,
  reranking: rerankBody,
} as const;
const valid: Readonly<Record<keyof typeof bodies, object>> = {
  chat: { messages: [{ role: "user", content: "x" }] },
  completion: { prompt: "x" },
  embedding: { input: "x" },
  reranking: { query: "x", documents: ["x"] },
};
const largeCount = 50_000;

/** The array or object, counting how many of its elements are looked at. */
function counting<T extends object>(target: T) {
  const reads = { count: 0 };
  const value = new Proxy(target, {
    get: (inner, key, receiver) => {
      if (typeof key === "string" && /^\d+$/.test(key)) reads.count += 1;
      return Reflect.get(inner, key, receiver) as unknown;
    },
    getOwnPropertyDescriptor: (inner, key) => {
      reads.count += 1;
      return Reflect.getOwnPropertyDescriptor(inner, key);
    },
  });
  return { value, reads };
}

/** Every issue, those of a union's branches too. */
function countIssues(issues: readonly z.core.$ZodIssue[]): number {
  return issues.reduce(
    (sum, issue) =>
      sum + 1 + (issue.code === "invalid_union" ? issue.errors.reduce((all, one) => all + countIssues(one), 0) : 0),
    0,
  );
}

const large = (element: unknown) => Array.from({ length: largeCount }, () => element);
const largeObject = Object.fromEntries(Array.from({ length: largeCount }, (_, index) => [index, 0]));
const elements: readonly unknown[] = [-1, 0.5, null, "", true, {}, [], [-1], { type: "text" }];

describe.each(Object.keys(bodies) as (keyof typeof bodies)[])("a large value in any field of a %s body", (name) => {
  const schema: ZodType & { readonly shape: object } = bodies[name];
  const fields = Object.keys(schema.shape);

  it.each(fields)("%s: no wrong element but the first is looked at", (field) => {
    for (const element of elements) {
      const { value, reads } = counting(large(element));
      const { error } = schema.safeParse({ ...valid[name], [field]: value });
      // Where such a list is right it has to be read.
      expect(error === undefined ? 0 : reads.count).toBeLessThan(10);
      expect(countIssues(error?.issues ?? [])).toBeLessThan(2);
    }
    const { value, reads } = counting(largeObject);
    schema.safeParse({ ...valid[name], [field]: value });
    expect(reads.count).toBeLessThan(10);
  });

  it("and unknown fields are not even copied", () => {
    const { value, reads } = counting({ ...valid[name], ...largeObject });
    const result = schema.safeParse(value);
    expect(result.success).toBe(true);
    expect(Object.keys(result.data as object).length).toBeLessThan(50);
    expect(reads.count).toBeLessThan(50);
  });
});

describe("large lists inside a message", () => {
  const bodyWith = (fields: object) => ({ messages: [{ role: "user", content: "x", ...fields }] });

  it.each([0, "", null, {}, { type: "text" }, { type: "video" }])("content of %j stops at the first", (part) => {
    const { value, reads } = counting(large(part));
    const { error } = chatFields.safeParse(bodyWith({ content: value }));
    expect(countIssues(error?.issues ?? [])).toBe(1);
    expect(error?.issues[0]?.path.slice(0, 4)).toEqual(["messages", 0, "content", 0]);
    expect(reads.count).toBeLessThan(10);
  });

  it("too many tool_calls are refused before any of them is read", () => {
    const { value, reads } = counting(large(0));
    expect(chatFields.safeParse(bodyWith({ tool_calls: value })).success).toBe(false);
    expect(reads.count).toBe(0);
  });

  it("too many messages are refused before any of them is read", () => {
    const { value, reads } = counting(large({ role: "robot" }));
    expect(() => validate(chatFields, { messages: value })).toThrow(
      `messages must be an array of 1 to 4096 messages; received an array of ${largeCount}.`,
    );
    expect(reads.count).toBe(0);
  });
});

describe("what the checks by hand allow", () => {
  // The schemas in openapi.json are written apart from the checks; each must say what the other does.
  const prompts = [
    "x",
    "",
    [],
    [1],
    [1, -1],
    [1.5],
    [2 ** 31],
    ["a"],
    ["a", 1],
    [1, "a"],
    ["a", [1]],
    [[]],
    [["a"]],
    5,
  ];
  const stops = ["x", "", [], ["a"], ["a", ""], [1], Array.from({ length: 17 }, () => "a"), 5, {}, null];
  const contents = [
    "x",
    [],
    [{ type: "text", text: "a" }],
    [{ type: "text" }],
    [{ type: "video" }],
    ["x"],
    5,
    {},
    null,
  ];
  const metadata = [{}, { a: 1 }, [], "x", 5, null];
  const cases: readonly (readonly [keyof typeof bodies, object])[] = [
    ...prompts.map((prompt) => ["completion", { prompt }] as const),
    ...prompts.map((input) => ["embedding", { input }] as const),
    ...stops.map((stop) => ["completion", { prompt: "x", stop }] as const),
    ...metadata.map((value) => ["completion", { prompt: "x", metadata: value }] as const),
    ...contents.map((content) => ["chat", { messages: [{ role: "user", content }] }] as const),
    ["chat", { messages: [] }],
  ];

  it.each(cases)("%s %j is what openapi.json allows", (name, body) => {
    const { $schema: _dialect, ...described } = z.toJSONSchema(bodies[name], { io: "input" });
    const documented = z.fromJSONSchema(described);
    expect(bodies[name].safeParse(body).success).toBe(documented.safeParse(body).success);
  });
});
