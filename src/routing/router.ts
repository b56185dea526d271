// The router as its users see it: which expert should answer, how sure, and why. Interfaces only. May import core/.

export interface RoutingInput {
  /** The text that decides: the last user message. */
  readonly prompt: string;
  /** The conversation brings images. */
  readonly hasImages: boolean;
}

export interface RoutingDecision {
  readonly expertId: string;
  /** 0 to 1. */
  readonly confidence: number;
  /** `keywords`: rules decided; `default`: nothing did, the default model answers. */
  readonly source: "keywords" | "default";
  /** One sentence for people. */
  readonly reason: string;
  /** Probability of each expert. */
  readonly scores: Readonly<Record<string, number>>;
}

export interface Router {
  route(input: RoutingInput): RoutingDecision;
}
