// POST /tokenize and /detokenize. May import zod, the chat contract, the engine's types and core/.
import { z } from "zod";
import { invalidRequest } from "../../core/errors.ts";
import type { TextModel, Token } from "../../engine/engine.ts";
import type { Endpoint } from "../endpoint.ts";
import { modelErrors } from "../common/model-answer.ts";
import type { Services } from "../services.ts";
import { checked, describe, type Refusal } from "../common/validation.ts";
import { modelParameter } from "./model-name.ts";

/** Tokenizing holds up every other request: this much takes a second at the worst. */
const maxCharacters = 1_000_000;
const maxTokens = 100_000;
const maxToken = 2_147_483_647;
const contentAllowed = `a string of at most ${maxCharacters} characters, or an array of strings and token ids`;
const tokenAllowed = `a token id (an integer from 0 to ${maxToken})`;
const tokensAllowed = `an array of at most ${maxTokens} token ids`;

type Content = string | readonly (string | Token)[];

const tokenizeBody = z.object({
  model: modelParameter,
  content: checked<Content>(z.union([z.string(), z.array(z.union([z.string(), z.int()]))]), refuseContent)
    .optional()
    .describe("Absent: no tokens. Of an array, the texts are tokenized one by one and the token ids kept."),
  add_special: z.boolean().nullish().describe("Put the tokens in front that the model wants there, such as BOS."),
  parse_special: z.boolean().nullish().describe("Read the texts of special tokens as these. Absent: true."),
  with_pieces: z.boolean().nullish().describe("Tell each token's text too."),
});

const piece = z.object({
  id: z.int(),
  piece: z.union([z.string(), z.array(z.int())]).describe("Its text; its bytes where they are no whole characters."),
});
const tokenizeResponse = z.object({ tokens: z.union([z.array(z.int()), z.array(piece)]) });

const detokenizeBody = z.object({
  model: modelParameter,
  tokens: checked<readonly Token[]>(z.array(z.int()), refuseTokens).optional().describe("Absent: none."),
});
const detokenizeResponse = z.object({ content: z.string() });

export function tokenizeEndpoint({ chat }: Pick<Services, "chat">): Endpoint<z.output<typeof tokenizeBody>> {
  return {
    method: "post",
    path: "/tokenize",
    summary: "The tokens of a text",
    tag: "llama-server",
    body: tokenizeBody,
    response: tokenizeResponse,
    errors: modelErrors,
    async handle({ body, signal }) {
      const { content = "", add_special: addSpecial, parse_special: parseSpecial, with_pieces: withPieces } = body;
      const options = { addSpecial: addSpecial ?? false, parseSpecial: parseSpecial ?? true };
      const tokensOf = (model: TextModel) => {
        const tokens = tokenizeContent(model, content, options);
        return withPieces === true ? tokens.map((token) => ({ id: token, piece: pieceOf(model, token) })) : tokens;
      };
      return { kind: "json", body: { tokens: await chat.withModel(body.model ?? null, tokensOf, signal) } };
    },
  };
}

export function detokenizeEndpoint({ chat }: Pick<Services, "chat">): Endpoint<z.output<typeof detokenizeBody>> {
  return {
    method: "post",
    path: "/detokenize",
    summary: "The text of tokens",
    tag: "llama-server",
    body: detokenizeBody,
    response: detokenizeResponse,
    errors: modelErrors,
    async handle({ body, signal }) {
      const textOf = (model: TextModel) => model.detokenize(body.tokens ?? [], { special: true });
      return { kind: "json", body: { content: await chat.withModel(body.model ?? null, textOf, signal) } };
    },
  };
}

type TokenizeOptions = Parameters<TextModel["tokenize"]>[1];

function tokenizeContent(model: TextModel, content: Content, options: TokenizeOptions): Token[] {
  if (typeof content === "string") return model.tokenize(content, options);
  const tokens: Token[] = [];
  for (const [index, item] of content.entries()) {
    if (typeof item === "number") {
      if (item >= model.vocabulary.size) {
        const field = `content[${index}]`;
        const allowed = `token ids of this model are integers from 0 to ${model.vocabulary.size - 1}`;
        throw invalidRequest(`${field} is ${describe(item)}; ${allowed}.`, field, "invalid_token");
      }
      tokens.push(item);
      continue;
    }
    // Special tokens stand around the whole: here, in front of a text that begins it.
    const addSpecial = options.addSpecial && index === 0;
    for (const token of model.tokenize(item, { ...options, addSpecial })) tokens.push(token);
  }
  return tokens;
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function pieceOf(model: TextModel, token: Token): string | number[] {
  const bytes = model.tokenBytes(token);
  try {
    return utf8.decode(bytes);
  } catch {
    return [...bytes];
  }
}

function refuseContent(content: unknown): Refusal | null {
  if (typeof content !== "string" && !Array.isArray(content))
    return { path: [], code: "invalid_type", allowed: contentAllowed };
  if (content.length > maxCharacters) return { path: [], code: "invalid_value", allowed: contentAllowed };
  if (typeof content === "string") return null;
  let characters = 0;
  for (const [index, item] of content.entries()) {
    if (typeof item !== "string") {
      const refusal = refuseToken(item, index, `a string or ${tokenAllowed}`);
      if (refusal !== null) return refusal;
      continue;
    }
    characters += item.length;
    if (characters > maxCharacters) return { path: [], code: "invalid_value", allowed: contentAllowed };
  }
  return null;
}

function refuseTokens(tokens: unknown): Refusal | null {
  if (!Array.isArray(tokens)) return { path: [], code: "invalid_type", allowed: tokensAllowed };
  if (tokens.length > maxTokens) return { path: [], code: "invalid_value", allowed: tokensAllowed };
  for (const [index, token] of tokens.entries()) {
    const refusal = refuseToken(token, index, tokenAllowed);
    if (refusal !== null) return refusal;
  }
  return null;
}

function refuseToken(token: unknown, index: number, allowed: string): Refusal | null {
  if (!Number.isInteger(token)) return { path: [index], code: "invalid_type", allowed };
  const isInRange = (token as number) >= 0 && (token as number) <= maxToken;
  return isInRange ? null : { path: [index], code: "invalid_value", allowed };
}
