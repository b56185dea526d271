// GET /openapi.json: generated from the endpoints' schemas, whole, and true to the routes.
import { describe, expect, it } from "vitest";
import { fakeHttp, get } from "../support/fake-http.ts";

// oxlint-disable-next-line typescript/no-explicit-any -- a document of every shape
async function document(): Promise<any> {
  return (await get(fakeHttp(), "/openapi.json")).body;
}

/** Every value under a key of that name, anywhere. */
function valuesOf(key: string, value: unknown): unknown[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [...(name === key ? [inner] : []), ...valuesOf(key, inner)]);
}

describe("openapi.json", () => {
  it("describes every route of the contract, each under its own name", async () => {
    const { openapi, paths } = await document();
    expect(openapi).toBe("3.1.0");
    expect(Object.keys(paths).sort()).toEqual([
      "/",
      "/admin/events",
      "/admin/experts/{id}/lift",
      "/admin/experts/{id}/load",
      "/admin/experts/{id}/unload",
      "/admin/reload",
      "/api/chat",
      "/api/copy",
      "/api/create",
      "/api/delete",
      "/api/embed",
      "/api/embeddings",
      "/api/generate",
      "/api/ps",
      "/api/pull",
      "/api/push",
      "/api/show",
      "/api/tags",
      "/api/version",
      "/apply-template",
      "/debug/models",
      "/detokenize",
      "/experts",
      "/health",
      "/health/experts/{id}",
      "/health/live",
      "/health/ready",
      "/metrics",
      "/openapi.json",
      "/props",
      "/slots",
      "/stats",
      "/tokenize",
      "/v1/chat/completions",
      "/v1/completions",
      "/v1/embeddings",
      "/v1/messages",
      "/v1/messages/count_tokens",
      "/v1/models",
      "/v1/models/{id}",
      "/v1/rerank",
      "/v1/responses",
      "/v1/responses/input_tokens",
    ]);
    const names = valuesOf("operationId", paths);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain("postV1ChatCompletions");
    expect(names).toContain("getService");
  });

  it("gives the request's and the answers' schemas", async () => {
    const { paths } = await document();
    const chat = paths["/v1/chat/completions"].post;
    const body = chat.requestBody.content["application/json"].schema;
    expect(body.required).toEqual(["messages"]);
    expect(body.properties.temperature.anyOf[0]).toEqual({ type: "number", minimum: 0, maximum: 2 });
    expect(body.properties.max_tokens.anyOf[0]).toMatchObject({ type: "integer", minimum: -1 });
    expect(body.properties.messages.items.properties.role.enum).toContain("developer");
    const ok = chat.responses["200"].content;
    expect(ok["application/json"].schema.required).toContain("routing");
    expect(ok["text/event-stream"].schema.description).toContain("[DONE]");
    expect(ok["text/event-stream"].schema.properties.object.const).toBe("chat.completion.chunk");
    for (const status of ["400", "401", "404", "405", "413", "429", "500", "503", "507"]) {
      expect(chat.responses[status].content["application/json"].schema.$ref).toBe("#/components/schemas/Error");
    }
    expect(paths["/v1/embeddings"].post.requestBody.content["application/json"].schema.required).toEqual(["input"]);
    for (const path of ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"]) {
      const { properties } = paths[path].post.requestBody.content["application/json"].schema;
      expect(properties.priority.anyOf[0]).toEqual({ type: "integer", minimum: -100, maximum: 100 });
      expect(properties.keep_alive.description).toContain('"1h30m"');
    }
  });

  it("refers only to what it holds", async () => {
    const whole = await document();
    const references = valuesOf("$ref", whole);
    expect(new Set(references)).toEqual(new Set(["#/components/schemas/Error"]));
    expect(whole.components.schemas.Error.properties.error.required).toEqual(["message", "type", "param", "code"]);
    expect(valuesOf("$schema", whole)).toEqual([]);
  });

  it("says which routes need a key, their parameters, and when they answer 503", async () => {
    const { paths, security, components } = await document();
    expect(security).toEqual([{ bearerKey: [] }, { headerKey: [] }]);
    expect(Object.keys(components.securitySchemes)).toEqual(["bearerKey", "headerKey"]);
    const open = Object.keys(paths).filter((path) => paths[path].get?.security?.length === 0);
    expect(open).toEqual(["/health", "/health/live", "/health/ready", "/"]);
    expect(paths["/v1/models/{id}"].get.parameters).toMatchObject([{ name: "id", in: "path", required: true }]);
    expect(paths["/debug/models"].get.parameters).toMatchObject([{ name: "probe", in: "query" }]);
    expect(paths["/health"].get.responses["503"].content["application/json"].schema.required).toContain("problems");
    expect(Object.keys(paths["/metrics"].get.responses["200"].content)).toEqual([
      "text/plain; version=0.0.4; charset=utf-8",
    ]);
  });

  it("declares the statuses that a route sends, and no other", async () => {
    const { paths } = await document();
    const statuses = (path: string) => Object.keys((paths[path].get ?? paths[path].post).responses);
    expect(statuses("/v1/chat/completions")).toEqual([
      "200",
      "400",
      "401",
      "404",
      "405",
      "413",
      "415",
      "429",
      "500",
      "503",
      "507",
    ]);
    expect(statuses("/v1/embeddings")).toEqual(statuses("/v1/completions"));
    expect(statuses("/experts")).toEqual(["200", "401", "405", "500", "503"]);
    expect(statuses("/v1/models")).toEqual(statuses("/experts"));
    expect(statuses("/v1/models/{id}")).toEqual(["200", "401", "404", "405", "500", "503"]);
    expect(statuses("/health/experts/{id}")).toEqual(["200", "401", "404", "405", "500", "503"]);
    expect(statuses("/admin/events")).toEqual(["200", "400", "401", "405", "500", "503"]);
    expect(statuses("/admin/experts/{id}/load")).toEqual(["200", "401", "404", "405", "429", "500", "503", "507"]);
    expect(statuses("/admin/experts/{id}/unload")).toEqual(["200", "401", "404", "405", "409", "500", "503"]);
    expect(statuses("/health")).toEqual(["200", "405", "500", "503"]);
  });

  it("declares the headers of answers and errors", async () => {
    const { paths } = await document();
    const { responses } = paths["/v1/chat/completions"].post;
    const headers = (status: string) => Object.keys(responses[status].headers);
    expect(headers("200")).toEqual(["x-request-id", "x-expert", "x-ignored-parameters"]);
    expect(headers("429")).toEqual(["x-request-id", "x-should-retry", "retry-after"]);
    expect(headers("401")).toContain("www-authenticate");
    expect(headers("405")).toContain("allow");
    expect(Object.keys(paths["/v1/embeddings"].post.responses["200"].headers)).toEqual(["x-request-id"]);
    for (const { headers: each } of Object.values<{ headers: object }>(paths["/health"].get.responses)) {
      expect(each).toHaveProperty("x-request-id");
    }
  });

  it("says which parameters are not supported", async () => {
    const { paths } = await document();
    const { properties } = paths["/v1/completions"].post.requestBody.content["application/json"].schema;
    expect(properties.mirostat.description).toContain("refused");
    expect(properties.id_slot.description).toContain("ignored");
    expect(properties.logit_bias.anyOf[0].anyOf).toHaveLength(2);
    expect(properties.prompt.anyOf).toHaveLength(3);
  });
});
