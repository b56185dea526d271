// The router as its users see it: which expert should answer, how sure, and why. Interfaces only. May import core/.

export interface RoutingInput {
  /** The text that decides: the last user message. */
  readonly prompt: string;
  /** The conversation brings images. */
  readonly hasImages: boolean;
}

export interface RoutingDecision {
  readonly expertId: string;
  /** 0 to 1: the probability that this expert is the right one. */
  readonly confidence: number;
  /** `keywords`: rules decided; `images`: the images did; `default`: nothing did, the default model answers. */
  readonly source: "keywords" | "images" | "default";
  /** One sentence for people. */
  readonly reason: string;
  /** Probability of each expert; they sum to 1. */
  readonly scores: Readonly<Record<string, number>>;
}

export interface Router {
  /** Never throws; the work is bounded however long the prompt is. */
  route(input: RoutingInput): RoutingDecision;
}
