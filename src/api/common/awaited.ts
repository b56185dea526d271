// What a streamed answer waits for while nothing of it comes, in a few words for its heartbeats. Only the answer's own
// expert is named. May import the chat contract and the pool's types.
import type { AnswerEvent, Routing } from "../../chat/contract.ts";
import type { ModelStatus } from "../../pool/pool.ts";
import type { Services } from "../services.ts";

type Needs = Pick<Services, "poolStatus">;

export class AwaitedStep {
  readonly #services: Needs;
  #expertId: string;
  /** At most so many go first, if all came with the same priority. */
  #ahead: number;
  /** What the engine does; undefined while the pool is waited for. */
  #engineStep: string | null | undefined;

  /** `routing`: of the answer that is about to ask for its expert. */
  constructor(services: Needs, routing: Routing) {
    this.#services = services;
    this.#expertId = routing.expertId;
    this.#ahead = this.#model()?.waiting ?? 0;
  }

  /** Call with each event of the answer. */
  follow(event: AnswerEvent): void {
    switch (event.type) {
      case "routing":
        this.#expertId = event.routing.expertId;
        this.#ahead = this.#model()?.waiting ?? 0;
        this.#engineStep = undefined;
        break;
      case "prefill":
        this.#engineStep = `reading the prompt, ${event.readTokens} of ${event.promptTokens} tokens`;
        break;
      case "started":
      case "text":
      case "reasoning":
      case "tool_call":
      case "tool_arguments":
      case "end":
        this.#engineStep = null;
        break;
    }
  }

  /** Null: nothing that could be told. */
  text(): string | null {
    if (this.#engineStep !== undefined) return this.#engineStep;
    const model = this.#model();
    if (model === undefined || model.waiting === 0) return null;
    switch (model.state) {
      case "loading": {
        const percent = Math.floor((model.loadProgress ?? 0) * 100);
        // Nothing is reported while its file is proven and before the first of its bytes.
        return `loading ${model.modelId}${percent === 0 ? "" : ` ${percent} %`}`;
      }
      case "loaded": {
        // Those that came before, and never more than wait now beside this one.
        this.#ahead = Math.min(this.#ahead, model.waiting - 1);
        const place = this.#ahead === 0 ? "next in line" : `at most ${this.#ahead} ahead`;
        return `waiting for a turn on ${model.modelId}, ${place}`;
      }
      case "available":
      case "unloading":
        return `waiting for memory to load ${model.modelId}`;
      case "missing":
      case "failed":
        return null;
    }
  }

  #model(): ModelStatus | undefined {
    return this.#services.poolStatus().models.find(({ modelId }) => modelId === this.#expertId);
  }
}
