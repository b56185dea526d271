// `logit_bias` in OpenAI's form, an object by token id, and in llama-server's, a list of pairs. May import zod.
import { z } from "zod";
import { checked, isJsonObject, type Refusal } from "../common/validation.ts";

const maxBias = 100;
const maxEntries = 4096;
const maxToken = 2_147_483_647;
const allowed = `an object of at most ${maxEntries} token ids and their biases, or an array of [token id, bias] pairs`;
const idAllowed = `a token id (an integer from 0 to ${maxToken}) and its bias; POST /tokenize gives the ids of a text`;
const biasAllowed = `a number from ${-maxBias} to ${maxBias}`;
const pairAllowed = `a pair [token id, bias], where the bias is ${biasAllowed}, or false for never`;

const bias = z.number().min(-maxBias).max(maxBias);
const documentation = z.union([
  z.record(z.string().regex(/^(0|[1-9]\d{0,9})$/), bias),
  z.array(z.tuple([z.int().min(0).max(maxToken), z.union([bias, z.literal(false)])])).max(maxEntries),
]);

type Pairs = readonly (readonly [token: number, bias: number | false])[];
type LogitBias = Readonly<Record<string, number>> | Pairs;

export const logitBiasParameter = checked(documentation as z.ZodType<LogitBias>, refuseLogitBias)
  .nullish()
  .describe("Added to the logits of tokens: {id: bias}, or pairs [id, bias] in which false is never.");

/** By token; `-Infinity` is never. */
export function toLogitBias(given: LogitBias | null | undefined): readonly (readonly [token: number, bias: number])[] {
  if (given === null || given === undefined) return [];
  const pairs = isPairs(given)
    ? given
    : Object.entries(given).map(([token, value]): [number, number] => [Number(token), value]);
  return pairs.map(([token, value]) => [token, value === false ? -Infinity : value]);
}

function isPairs(given: LogitBias): given is Pairs {
  return Array.isArray(given);
}

function refuseLogitBias(given: unknown): Refusal | null {
  if (Array.isArray(given)) {
    if (given.length > maxEntries) return { path: [], code: "invalid_value", allowed };
    for (const [index, pair] of given.entries()) {
      if (!isPair(pair)) return { path: [index], code: "invalid_value", allowed: pairAllowed };
    }
    return null;
  }
  if (!isJsonObject(given)) return { path: [], code: "invalid_type", allowed };
  if (Reflect.ownKeys(given).length > maxEntries) return { path: [], code: "invalid_value", allowed };
  for (const [token, value] of Object.entries(given)) {
    if (!/^(0|[1-9]\d{0,9})$/.test(token) || Number(token) > maxToken) {
      return { path: [token], code: "invalid_value", allowed: idAllowed };
    }
    if (!isBias(value)) return { path: [token], code: "invalid_value", allowed: biasAllowed };
  }
  return null;
}

function isPair(pair: unknown): boolean {
  if (!Array.isArray(pair) || pair.length !== 2) return false;
  const [token, value] = pair as unknown[];
  const isToken = Number.isInteger(token) && (token as number) >= 0 && (token as number) <= maxToken;
  return isToken && (value === false || isBias(value));
}

function isBias(value: unknown): boolean {
  return typeof value === "number" && Math.abs(value) <= maxBias;
}
