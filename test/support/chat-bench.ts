// The use cases over the real pool and the fake engine, and the few ways in which tests ask them.
import { type ChatServiceParts, createChatService } from "../../src/chat/chat-service.ts";
import { plainChat, type AnswerEvent, type ChatRequest, type ChatService } from "../../src/chat/contract.ts";
import type { RequestRecord } from "../../src/core/request-record.ts";
import { ExpertCatalogue } from "../../src/experts/catalogue.ts";
import type { Embedder, Expert, Reranker } from "../../src/experts/expert.ts";
import { EnginePool } from "../../src/pool/model-pool.ts";
import type { Router } from "../../src/routing/router.ts";
import { expertOf } from "./experts.ts";
import { FakeEngine, type FakeEngineOptions } from "./fake-engine.ts";
import { ManualClock } from "./manual-clock.ts";
import { fakePoolOptions } from "./pool-options.ts";

export const never = new AbortController().signal;

export const expert = (id: string, changes: Partial<Expert> = {}) => expertOf(id, { contextTokens: 512, ...changes });

export const embedder: Embedder = {
  id: "embedder",
  modelPath: "/models/embedder.gguf",
  contextTokens: 64,
  cacheSize: 2,
};

const reranker: Reranker = { id: "reranker", modelPath: "/models/reranker.gguf", contextTokens: 64 };

export interface Bench {
  readonly service: ChatService;
  readonly engine: FakeEngine;
  readonly pool: EnginePool;
  readonly records: RequestRecord[];
}

let engines: FakeEngine[] = [];

/** After each test: throws where the engine was used as it must not be. */
export function checkEngines(): void {
  const violations = engines.flatMap((engine) => engine.violations);
  engines = [];
  if (violations.length > 0) throw new Error(violations.join("; "));
}

export function bench(
  experts: readonly Expert[],
  engineOptions: FakeEngineOptions = {},
  parts: Partial<ChatServiceParts> = {},
): Bench {
  const engine = new FakeEngine(engineOptions);
  engines.push(engine);
  const clock = new ManualClock();
  const models = experts.map(({ id, modelPath, contextTokens, parallel, priority, keep }) => ({
    id,
    spec: { path: modelPath, purpose: "text" as const, contextTokens, slots: parallel },
    priority,
    keep,
    minContextTokens: null,
  }));
  const embedderModel = {
    id: embedder.id,
    spec: { path: embedder.modelPath, purpose: "embedding" as const, contextTokens: 64, slots: 1 },
    minContextTokens: null,
    priority: 1,
    keep: true,
  };
  const rerankerModel = {
    ...embedderModel,
    id: reranker.id,
    spec: { path: reranker.modelPath, purpose: "ranking" as const, contextTokens: 64, slots: 1 },
  };
  const pool = new EnginePool(fakePoolOptions(engine, clock, [...models, embedderModel, rerankerModel]));
  engine.trackLeases(pool);
  const records: RequestRecord[] = [];
  const router: Router = {
    route: ({ prompt }) => ({
      expertId: experts[0]?.id ?? "",
      confidence: 0.7,
      source: "keywords",
      reason: `about ${prompt}`,
      scores: Object.fromEntries(experts.map(({ id }, index) => [id, index === 0 ? 0.7 : 0.3 / index])),
    }),
  };
  const service = createChatService({
    catalogue: new ExpertCatalogue(experts),
    embedder,
    reranker,
    defaultModel: experts[0]?.id ?? "",
    pool,
    files: engine.files,
    router,
    record: (record) => records.push(record),
    clock,
    ...parts,
  });
  return { service, engine, pool, records };
}

export function ask(content: string, changes: Partial<ChatRequest> = {}): ChatRequest {
  return {
    ...plainChat,
    model: null,
    messages: [{ role: "user", content }],
    maxTokens: null,
    ...changes,
  };
}

export async function collect(events: AsyncGenerator<AnswerEvent, void, void>): Promise<AnswerEvent[]> {
  const all: AnswerEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

export const textOf = (events: readonly AnswerEvent[]) =>
  events.map((event) => (event.type === "text" ? event.text : "")).join("");
export const leasesOf = (pool: EnginePool) => pool.status().models.reduce((sum, { leases }) => sum + leases, 0);
