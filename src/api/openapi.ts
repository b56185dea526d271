// The OpenAPI document of a list of endpoints, from the same schemas that check their bodies. Pure. May import zod.
import { z, type ZodType } from "zod";
import type { Endpoint } from "./endpoint.ts";

export const errorResponse = z.object({
  error: z.object({
    message: z.string().describe("One line: what is wrong, which field, what is allowed."),
    type: z.string(),
    param: z.string().nullable().describe("The field at fault, as a path such as messages[0].content."),
    code: z.string().describe("A stable word, for example model_not_found."),
  }),
});

const internalError = { 500: "A bug; the log has the details under the request's id" } as const;
const methodError = { 405: "The answer to any other method on this path" } as const;

const keyErrors = {
  401: "An API key is configured, and the request brought none or a wrong one",
  503: "The server is shutting down",
} as const;

const bodyErrors = {
  400: "The body is not JSON, a field is wrong, or the input is longer than the context",
  413: "The body is larger than the server accepts",
  415: "The body is compressed",
} as const;

const requestIdHeader = "The x-request-id that was sent, where it is well formed, else a new one; also in the log";

function errorsOf(endpoint: Endpoint): Readonly<Record<number, string>> {
  return {
    ...(endpoint.public === true ? {} : keyErrors),
    ...(endpoint.body === undefined ? {} : bodyErrors),
    ...methodError,
    ...internalError,
    ...endpoint.errors,
  };
}

type Json = Readonly<Record<string, unknown>>;

// oxlint-disable-next-line typescript/no-explicit-any -- as in Dialect: the body's type is the endpoint's own
export function openapiDocument(endpoints: readonly Endpoint<any>[], version: string): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const endpoint of endpoints) {
    paths[endpoint.path] = { ...paths[endpoint.path], [endpoint.method]: operation(endpoint) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "gguf-experts",
      version,
      description:
        "Expert language models behind one OpenAI-compatible endpoint. A path that does not exist gets 404, and what is " +
        "no HTTP request 400, 408 or 431, each with the body of an error.",
      license: { name: "MIT", identifier: "MIT" },
    },
    tags: [...new Set(endpoints.map((endpoint) => endpoint.tag))].map((name) => ({ name })),
    security: [{ bearerKey: [] }, { headerKey: [] }],
    paths,
    components: {
      schemas: { Error: jsonSchema(errorResponse, "output") },
      securitySchemes: {
        bearerKey: { type: "http", scheme: "bearer", description: "Asked for only where API keys are configured." },
        headerKey: { type: "apiKey", in: "header", name: "X-Api-Key" },
      },
    },
  };
}

function operation(endpoint: Endpoint): Json {
  return {
    operationId: operationId(endpoint),
    summary: endpoint.summary,
    tags: [endpoint.tag],
    ...(endpoint.public === true ? { security: [] } : {}),
    parameters: [
      ...[...endpoint.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
        name,
        in: "path",
        required: true,
        schema: { type: "string" },
      })),
      ...Object.entries(endpoint.query ?? {}).map(([name, description]) => ({
        name,
        in: "query",
        description,
        schema: { type: "string" },
      })),
    ],
    ...(endpoint.body === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: { "application/json": { schema: jsonSchema(endpoint.body, "input") } },
          },
        }),
    responses: responses(endpoint),
  };
}

function responses(endpoint: Endpoint): Json {
  const json =
    endpoint.response === undefined ? {} : { "application/json": { schema: jsonSchema(endpoint.response, "output") } };
  const text = endpoint.textType === undefined ? {} : { [endpoint.textType]: { schema: { type: "string" } } };
  const errors = Object.entries(errorsOf(endpoint)).map(([status, description]): [string, Json] => [
    status,
    {
      description,
      headers: errorHeaders(Number(status)),
      content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
    },
  ]);
  const others = Object.entries(endpoint.otherStatuses ?? {}).map(([status, description]): [string, Json] => [
    status,
    { description, headers: headersOf({ "x-request-id": requestIdHeader }), content: json },
  ]);
  return {
    200: {
      description:
        endpoint.streamItem === undefined ? "The answer" : "The answer, whole or with `stream: true` as events",
      headers: headersOf({ "x-request-id": requestIdHeader, ...endpoint.headers }),
      content: {
        ...json,
        ...text,
        ...(endpoint.streamItem === undefined
          ? {}
          : { "text/event-stream": { schema: eventSchema(endpoint.streamItem) } }),
      },
    },
    ...Object.fromEntries(errors),
    ...Object.fromEntries(others),
  };
}

function errorHeaders(status: number): Json {
  return headersOf({
    "x-request-id": requestIdHeader,
    "x-should-retry": "false where the same request cannot succeed later; else absent",
    ...(status === 429 || status === 503 ? { "retry-after": "Seconds to wait, where a retry may help" } : {}),
    ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
    ...(status === 405 ? { allow: "The methods of this path" } : {}),
  });
}

function headersOf(descriptions: Readonly<Record<string, string>>): Json {
  return Object.fromEntries(
    Object.entries(descriptions).map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  );
}

/** OpenAPI 3.1 cannot describe the framing of events, so the text does. */
function eventSchema(item: ZodType): Json {
  return {
    ...jsonSchema(item, "output"),
    description:
      "One event's data: each is a line `data: {…}` with this JSON and an empty line. Lines that begin with a colon keep " +
      'the connection alive. The last event is `data: [DONE]`; after a failure it is `data: {"error": {…}}` instead.',
  };
}

function jsonSchema(schema: ZodType, io: "input" | "output"): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io, target: "draft-2020-12" });
  return rest;
}

/** `postV1ChatCompletions`, `getV1ModelsById` */
function operationId(endpoint: Endpoint): string {
  const words = endpoint.path
    .replace(/\{(\w+)\}/g, "by $1")
    .split(/[^A-Za-z0-9]+/)
    .filter(Boolean);
  const name = words.map((word) => `${word.charAt(0).toUpperCase()}${word.slice(1)}`).join("");
  return `${endpoint.method}${name === "" ? "Service" : name}`;
}
